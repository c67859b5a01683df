"""Every architecture through the server: tests/fixtures/encoders against their references."""

import json
import math
import os
import shutil

import pytest
from harness import ROOT

ENCODERS = os.path.join(ROOT, "tests", "fixtures", "encoders")
NAMES = sorted(os.listdir(ENCODERS))


def references(name):
    """Sequences of which all tokens are pooled, with the vectors that are wanted."""
    with open(os.path.join(ENCODERS, name, "vectors.json"), encoding="utf-8") as file:
        rows = [row for row in json.load(file) if row["skip"] == 0]
    return [row["ids"] for row in rows], [row["vector"] for row in rows]


def test_there_are_two_of_each_architecture():
    kinds = {}
    for name in NAMES:
        with open(os.path.join(ENCODERS, name, "config.json"), encoding="utf-8") as file:
            kinds.setdefault(json.load(file)["model_type"], []).append(name)
    assert set(kinds) == {"bert", "distilbert", "roberta", "xlm-roberta", "mpnet"}
    assert all(len(names) >= 2 for names in kinds.values())


def test_all_of_them_in_one_pool(serve):
    server = serve({name: os.path.join(ENCODERS, name) for name in NAMES}, memory="2GiB")
    for name in NAMES:
        ids, wanted = references(name)
        answer = server.embed(ids, model=name)
        assert answer.status == 200, answer
        for got, want in zip(answer.vectors, wanted):
            assert max(abs(a - b) for a, b in zip(got, want)) <= 2e-5, name
            assert len(got) == len(want)


def test_fewer_dimensions_are_of_unit_length(serve):
    """Also of a model without Normalize, whose whole vectors have any length."""
    server = serve({"m": os.path.join(ENCODERS, "roberta_sqrt")})
    ids, wanted = references("roberta_sqrt")
    whole = server.embed(ids).vectors
    assert all(abs(math.hypot(*vector) - 1) > 0.01 for vector in whole)
    for dimensions in (1, 7, 29):
        cut = server.embed(ids, dimensions=dimensions).vectors
        for vector, want in zip(cut, wanted):
            length = math.hypot(*want[:dimensions])
            assert len(vector) == dimensions
            assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-5)
            assert all(abs(a - b / length) <= 2e-4 for a, b in zip(vector, want))
    assert server.embed(ids, dimensions=30).vectors == whole


@pytest.mark.parametrize("part", [
    "model-00002-of-00003.safetensors", "2_Dense/model.safetensors", "1_Pooling/config.json"])
def test_a_missing_part_is_named(serve, tmp_path, part):
    folder = tmp_path / "model"
    shutil.copytree(os.path.join(ENCODERS, "bert_shards"), folder)
    os.remove(folder / part)
    answer = serve({"m": str(folder)}).embed("wa")
    assert answer.status == 500, answer
    assert part in answer.error["message"]
