"""SmolLM2 written by ichigo as GGUF, opened by llama.cpp: greedy answers to 20 prompts and perplexity, there and here.

Exits 1 when the perplexities of a type differ by more than 1 %, or an answer of the f16 or bf16 file differs. Where it
multiplies bf16 or f16, llama.cpp rounds both factors to that type, and answers part where two tokens are nearly as
likely, as they do between two settings of llama.cpp itself; so it is given the file's weights widened to f32 by its own
llama-quantize. Needs the modules of compare_language_model.py and the folder with llama.cpp's programs, built with
  cmake -B build -G Ninja -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DLLAMA_CURL=OFF &&
  ninja -C build llama-completion llama-perplexity llama-quantize
and -DGGML_AVX512=ON where the processor has it.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from compare_language_model import PROMPTS, SYSTEM

WINDOWS = 16
DTYPES = {"bf16": "bfloat16", "f16": "float32", "q8_0": "q8_0", "q4_0": "q4_0"}  # as llama.cpp multiplies them
EXACT = ("bf16", "f16")  # answers are compared, both programs computing in float32


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True, help="folder with llama.cpp's programs")
    parser.add_argument("--weights", required=True, help="SmolLM2-135M-Instruct: a folder or a GGUF file")
    parser.add_argument("--program", default="build/release/ichigo")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--text", type=pathlib.Path, default="data/sentences.txt", help="for the perplexity")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    threads = ["--threads", options.threads]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("bf16", "f16", "q8_0", "q4_0"):
            model = pathlib.Path(folder) / f"{kind}.gguf"
            run(options.program, "convert", options.weights, model, "--to", "gguf", "--type", kind)
            as_stored = ["--dtype", DTYPES[kind]]
            command = [options.program, "evaluate", "perplexity", options.text, "--model", model, "--limit", WINDOWS]
            command += as_stored
            ours = json.loads(run(*command, "--json", *threads).stdout)["perplexity"]
            command = [options.llama_cpp / "llama-perplexity", "-m", model, "-f", options.text, "-c", 512]
            out = run(*command, "--chunks", WINDOWS, *threads)
            theirs = float(re.search(r"Final estimate: PPL = ([0-9.]+)", out.stdout + out.stderr).group(1))
            print(f"{kind}: perplexity here {ours:.4f}, llama.cpp's {theirs:.4f}, {100 * (ours / theirs - 1):+.2f} %")
            good = good and abs(ours / theirs - 1) < 0.01
            if kind not in EXACT:
                continue
            wide = pathlib.Path(folder) / f"{kind}_as_f32.gguf"
            run(options.llama_cpp / "llama-quantize", model, wide, "F32")
            same = 0
            for prompt in PROMPTS:
                command = [options.program, "chat", prompt, "--model", model, "--max-tokens", options.tokens]
                ours = run(*command, "--dtype", "float32", *threads)
                text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
                command = [options.llama_cpp / "llama-completion", "-m", wide, "-p", text, "-n", options.tokens]
                # Its cache in float32, as ours is: by default it is rounded too.
                command += ["--temp", 0, "-no-cnv", "--no-display-prompt", "-ctk", "f32", "-ctv", "f32", "-fa", "off"]
                theirs = run(*command, *threads).stdout.replace(" [end of text]", "").strip()
                ours = ours.stdout.removesuffix(" ...\n").strip()
                same += ours == theirs
                if ours != theirs:
                    print(f"{prompt}\n  theirs {theirs!r}\n  ours   {ours!r}")
            print(f"{kind}: {same} of {len(PROMPTS)} greedy answers identical")
            good = good and same == len(PROMPTS)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
