"""Whisper tiny.en through `ichigo transcribe` against openai-whisper with the same weights, on a list of recordings.

Prints the share of identical texts and both word error rates; exits 1 when fewer than 98 % are identical or the word
error rates differ by more than 0.3 points. Needs openai-whisper, soundfile and jiwer.
"""

import argparse
import csv
import pathlib
import struct
import subprocess
import sys

import jiwer
import numpy
import soundfile
import torch
import whisper
from whisper.normalizers import EnglishTextNormalizer


def read_ctranslate2(path):
    """Variables of a CTranslate2 model.bin with float16 weights, as float32 tensors by name."""
    data = pathlib.Path(path).read_bytes()
    position = 0

    def number(code):
        nonlocal position
        (value,) = struct.unpack_from("<" + code, data, position)
        position += struct.calcsize(code)
        return value

    def text():
        nonlocal position
        length = number("H")
        value = data[position : position + length - 1].decode()
        position += length
        return value

    number("I"), text(), number("I")
    variables = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = number("B"), number("I")
        if kind == 4:
            values = numpy.frombuffer(data[position : position + size], numpy.float16).reshape(shape)
            variables[name] = torch.from_numpy(values.astype(numpy.float32))
        position += size
    return variables


def openai_model(variables):
    state = {"decoder.token_embedding.weight": variables["decoder/embeddings/weight"]}

    def copy(to, source, bias=True):
        state[to + ".weight"] = variables[source + "/weight"]
        if bias:
            state[to + ".bias"] = variables[source + "/bias"]

    def split(to, source, names):
        parts = zip(
            names, variables[source + "/weight"].chunk(len(names)), variables[source + "/bias"].chunk(len(names))
        )
        for name, weight, bias in parts:
            state[f"{to}.{name}.weight"] = weight
            if name != "key":
                state[f"{to}.{name}.bias"] = bias

    def norm(to, source):
        state[to + ".weight"] = variables[source + "/gamma"]
        state[to + ".bias"] = variables[source + "/beta"]

    for side, last in (("encoder", "ln_post"), ("decoder", "ln")):
        for layer in range(4):
            source, to = f"{side}/layer_{layer}/", f"{side}.blocks.{layer}."
            split(to + "attn", source + "self_attention/linear_0", ["query", "key", "value"])
            copy(to + "attn.out", source + "self_attention/linear_1")
            copy(to + "mlp.0", source + "ffn/linear_0")
            copy(to + "mlp.2", source + "ffn/linear_1")
            norm(to + "attn_ln", source + "self_attention/layer_norm")
            norm(to + "mlp_ln", source + "ffn/layer_norm")
            if side == "decoder":
                copy(to + "cross_attn.query", source + "attention/linear_0")
                split(to + "cross_attn", source + "attention/linear_1", ["key", "value"])
                copy(to + "cross_attn.out", source + "attention/linear_2")
                norm(to + "cross_attn_ln", source + "attention/layer_norm")
        norm(f"{side}.{last}", f"{side}/layer_norm")
        state[f"{side}.positional_embedding"] = variables[f"{side}/position_encodings/encodings"]
    copy("encoder.conv1", "encoder/conv1")
    copy("encoder.conv2", "encoder/conv2")
    model = whisper.model.Whisper(whisper.model.ModelDimensions(80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4))
    model.load_state_dict(state)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=pathlib.Path, help="TSV with the columns path and transcript")
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="CTranslate2 folder of Whisper tiny.en")
    parser.add_argument("--program", default="build/release/ichigo")
    options = parser.parse_args()
    with options.list.open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    paths = [str(options.list.parent / row["path"]) for row in rows]
    printed = subprocess.run([options.program, "transcribe", *paths], check=True, capture_output=True, text=True).stdout
    ours = dict(line.split("\t", 1) for line in printed.splitlines())

    model = openai_model(read_ctranslate2(options.weights / "model.bin"))
    decoding = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
    normalize = EnglishTextNormalizer()
    identical, references, theirs_normal, ours_normal = 0, [], [], []
    for row, path in zip(rows, paths):
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 16000 and samples.ndim == 1, path
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(samples)))
        text = whisper.decode(model, mel, decoding).text
        if text == ours[path]:
            identical += 1
        else:
            print(f"{row['path']}\n  theirs {text}\n  ours   {ours[path]}")
        references.append(normalize(row["transcript"]))
        theirs_normal.append(normalize(text))
        ours_normal.append(normalize(ours[path]))
    share = identical / len(rows)
    errors = [100 * jiwer.wer(references, texts) for texts in (theirs_normal, ours_normal)]
    print(f"{identical} of {len(rows)} texts identical ({100 * share:.1f} %)")
    print(f"word error rate: openai-whisper {errors[0]:.2f} %, ichigo {errors[1]:.2f} %")
    sys.exit(0 if share >= 0.98 and abs(errors[0] - errors[1]) <= 0.3 else 1)


if __name__ == "__main__":
    main()
