"""How much memory a Llama directory of 8B parameters takes: bf16 weights of zeros in sparse files (no disk is used).

Prints the peak of `ichigo chat` beside the weights' size; exits 1 when it is more than 5 % above. Needs the vocabulary of
Llama 3.1 (./test --real brings it).
"""

import argparse
import json
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

LAYERS, WIDTH, HIDDEN, KEYS, VOCABULARY = 32, 4096, 14336, 1024, 128256
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
    "hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "bos_token_id": 128000, "eos_token_id": 128009,
    "hidden_act": "silu",
}  # fmt: skip


def tensors(layer):
    if layer is None:
        return {"model.embed_tokens.weight": [VOCABULARY, WIDTH], "lm_head.weight": [VOCABULARY, WIDTH], "model.norm.weight": [WIDTH]}
    shapes = {
        "self_attn.q_proj": [WIDTH, WIDTH], "self_attn.k_proj": [KEYS, WIDTH], "self_attn.v_proj": [KEYS, WIDTH],
        "self_attn.o_proj": [WIDTH, WIDTH], "mlp.gate_proj": [HIDDEN, WIDTH], "mlp.up_proj": [HIDDEN, WIDTH],
        "mlp.down_proj": [WIDTH, HIDDEN], "input_layernorm": [WIDTH], "post_attention_layernorm": [WIDTH],
    }  # fmt: skip
    return {f"model.layers.{layer}.{name}.weight": shape for name, shape in shapes.items()}


def write_shard(path, shapes):
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=pathlib.Path, required=True, help="folder with Llama 3.1's tokenizer.json")
    parser.add_argument("--program", default="build/release/ichigo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        for file in ("tokenizer.json", "tokenizer_config.json"):
            if (options.vocabulary / file).exists():
                shutil.copy(options.vocabulary / file, folder)
        shards = [None, *range(LAYERS)]
        places, total = {}, 0
        for number, layer in enumerate(shards, 1):
            file = f"model-{number:05}-of-{len(shards):05}.safetensors"
            total += write_shard(folder / file, tensors(layer))
            places |= dict.fromkeys(tensors(layer), file)
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        command = [options.program, "chat", "Hello", "--model", str(folder), "--dtype", "bfloat16", "--max-tokens", "2"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"weights {total / 2**30:.2f} GiB, peak {peak / 2**30:.2f} GiB: {100 * (peak / total - 1):+.1f} %")
    sys.exit(0 if peak <= 1.05 * total else 1)


if __name__ == "__main__":
    main()
