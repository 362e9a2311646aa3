"""SmolLM2 through ichigo against transformers in float32 on the same GGUF: greedy answers to 20 prompts, perplexity, and
the logits of 256 tokens.

Exits 1 when an answer differs, the perplexities by more than 0.01 % or a logit by more than 0.001. Needs transformers,
accelerate, gguf and torch.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
import transformers

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
PROMPTS = [
    "What is the capital of France?",
    "Name three fruits.",
    "Why is the sky blue?",
    "Write one sentence about the sea.",
    "How many days are in a week?",
    "What is two plus two?",
    "Who wrote Hamlet?",
    "Translate good morning to Spanish.",
    "What do bees make?",
    "Explain gravity in one sentence.",
    "Give me a short tip for sleeping well.",
    "What color is a ripe banana?",
    "Is water wet?",
    "What is the opposite of hot?",
    "Tell me a fact about cats.",
    "How do I boil an egg?",
    "What is a computer?",
    "Which planet is closest to the sun?",
    "Spell the word house.",
    "Say hello.",
]


CONTEXT, WINDOWS = 512, 8


def perplexity(model, ids):
    """As llama.cpp: the second half of each window counts."""
    total, count = 0.0, 0
    for window in range(WINDOWS):
        tokens = ids[:, window * CONTEXT : (window + 1) * CONTEXT]
        with torch.inference_mode():
            likely = model(tokens).logits[0].log_softmax(-1)
        for i in range(CONTEXT // 2, CONTEXT - 1):
            total += likely[i, tokens[0, i + 1]].item()
            count += 1
    return math.exp(-total / count)


def same_logits(program, model, ids):
    """Whether the test of that name finds ours alike; it prints the largest difference."""
    name = "PackedLlama.GivesTransformersLogitsOfRealWeights"
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        place = pathlib.Path(folder) / "smollm2"
        place.mkdir()
        tensors = {"ids": ids[0].contiguous(), "logits": model(ids).logits[0].contiguous()}
        safetensors.torch.save_file(tensors, place / "logits.safetensors")
        command = [program, f"--gtest_filter={name}"]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "ICHIGO_GOLDEN": folder})
    print("\n".join(line for line in run.stdout.splitlines() if "difference" in line or "FAILED" in line))
    return run.returncode == 0 and f"[       OK ] {name}" in run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=pathlib.Path, required=True, help="folder with SmolLM2's model.gguf")
    parser.add_argument("--program", default="build/release/ichigo")
    parser.add_argument("--tests", default="build/release/tests/test_models")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--text", type=pathlib.Path, default="data/sentences.txt", help="for the perplexity")
    options = parser.parse_args()
    torch.manual_seed(0)
    load = {"gguf_file": "model.gguf"}
    model = transformers.AutoModelForCausalLM.from_pretrained(options.weights, dtype=torch.float32, **load).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.weights, **load)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    same = 0
    for prompt in PROMPTS:
        command = [options.program, "chat", prompt, "--dtype", "float32", "--max-tokens", str(options.tokens)]
        ours = subprocess.run(command, check=True, capture_output=True, text=True).stdout.removesuffix(" ...\n")
        text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=options.tokens, do_sample=False, eos_token_id=end, pad_token_id=end)
        theirs = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        if theirs.strip() == ours.strip():
            same += 1
        else:
            print(f"{prompt}\n  theirs {theirs!r}\n  ours   {ours!r}")
    print(f"{same} of {len(PROMPTS)} greedy answers identical")

    command = [options.program, "evaluate", "perplexity", str(options.text), "--model", str(options.weights), "--json"]
    out = subprocess.run([*command, "--limit", str(WINDOWS)], check=True, capture_output=True, text=True).stdout
    ours = json.loads(out)["perplexity"]
    ids = tokenizer(options.text.read_text(), return_tensors="pt", add_special_tokens=False).input_ids
    theirs = perplexity(model, ids)
    print(f"perplexity of {options.text}: ours {ours:.4f}, transformers' {theirs:.4f}")
    alike = same_logits(options.tests, model, ids[:, :256])
    sys.exit(0 if same == len(PROMPTS) and abs(ours / theirs - 1) < 1e-4 and alike else 1)


if __name__ == "__main__":
    main()
