"""peer_models FOLDER OUT: the peers' forms of a BERT encoder from its local folder; no hub is asked.

OUT/openvino is what optimum exports of the sentence-transformers model (mean pooling and normalisation are
in the graph), OUT/model.onnx the token states in the form of graph that onnxruntime's BERT fusions know,
fused by them. Each is made under another name and renamed, so what is there is whole.
"""
import json
import os
import shutil
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

def openvino(source, out):
    made = out + ".new"
    shutil.rmtree(made, ignore_errors=True)
    optimum = os.path.join(os.path.dirname(sys.executable), "optimum-cli")
    subprocess.run([optimum, "export", "openvino", "--model", source, "--task", "feature-extraction",
                    "--library", "sentence_transformers", "--weight-format", "fp32",
                    "--disable-convert-tokenizer", made], check=True)
    os.rename(made, out)


def plain_bert(config, weights):
    """BERT with every step written out, which is what the fusions look for."""
    import torch
    from torch.nn.functional import gelu, layer_norm, linear, softmax

    heads = config["num_attention_heads"]
    hidden = config["hidden_size"]
    size = hidden // heads
    eps = config["layer_norm_eps"]

    class Bert(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, values in weights.items():
                if values.is_floating_point():
                    self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(values))

        def weight(self, name):
            return getattr(self, name.replace(".", "_"))

        def dense(self, x, name):
            return linear(x, self.weight(name + ".weight"), self.weight(name + ".bias"))

        def norm(self, x, name):
            return layer_norm(x, (hidden,), self.weight(name + ".weight"), self.weight(name + ".bias"), eps)

        def split(self, x):
            return x.view(x.size(0), x.size(1), heads, size).permute(0, 2, 1, 3)

        def attention(self, x, mask, layer):
            q, k, v = (self.split(self.dense(x, f"{layer}.attention.self.{part}"))
                       for part in ("query", "key", "value"))
            scores = torch.matmul(q, k.transpose(-1, -2)) / size ** 0.5 + mask
            mixed = torch.matmul(softmax(scores, dim=-1), v).permute(0, 2, 1, 3).contiguous()
            return mixed.view(mixed.size(0), mixed.size(1), hidden)

        def forward(self, input_ids, attention_mask, token_type_ids):
            mask = (1.0 - attention_mask.unsqueeze(1).unsqueeze(2).to(torch.float32)) * -10000.0
            positions = torch.arange(512).unsqueeze(0)[:, :input_ids.size(1)]
            x = (self.weight("embeddings.word_embeddings.weight")[input_ids] +
                 self.weight("embeddings.token_type_embeddings.weight")[token_type_ids] +
                 self.weight("embeddings.position_embeddings.weight")[positions])
            x = self.norm(x, "embeddings.LayerNorm")
            for i in range(config["num_hidden_layers"]):
                layer = f"encoder.layer.{i}"
                mixed = self.dense(self.attention(x, mask, layer), f"{layer}.attention.output.dense")
                x = self.norm(mixed + x, f"{layer}.attention.output.LayerNorm")
                wide = gelu(self.dense(x, f"{layer}.intermediate.dense"))
                x = self.norm(self.dense(wide, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")
            return x

    return Bert().eval()


def onnx(source, out):
    import torch
    from onnxruntime.transformers.optimizer import optimize_model
    from safetensors.torch import load_file

    with open(os.path.join(source, "config.json")) as file:
        config = json.load(file)
    model = plain_bert(config, load_file(os.path.join(source, "model.safetensors")))
    ids = torch.ones(2, 16, dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    plain = out + ".plain"
    torch.onnx.export(model, (ids, ids, ids * 0), plain, dynamo=False, opset_version=17, input_names=names,
                      output_names=["states"],
                      dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "states"]})
    fused = optimize_model(plain, model_type="bert", num_heads=config["num_attention_heads"],
                           hidden_size=config["hidden_size"], opt_level=0, use_gpu=False)
    found = fused.get_fused_operator_statistics()
    print(found)
    layers = config["num_hidden_layers"]
    wanted = {"Attention": layers, "BiasGelu": layers, "SkipLayerNormalization": 2 * layers}
    if any(found[name] < count for name, count in wanted.items()):
        sys.exit(f"peer_models: onnxruntime fused {found}, expected {wanted}")
    fused.save_model_to_file(out + ".new")
    os.remove(plain)
    os.rename(out + ".new", out)


def main():
    source, out = sys.argv[1:]
    for make, name in ((openvino, "openvino"), (onnx, "model.onnx")):
        path = os.path.join(out, name)
        if not os.path.exists(path):
            make(source, path)


if __name__ == "__main__":
    main()
