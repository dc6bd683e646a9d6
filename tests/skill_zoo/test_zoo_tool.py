"""tools/zoo.py: the whole tour on the command line, and one clear message for bad input."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from zoo_objects import make_skill

import skill_zoo

TOOL = "zoo"


@pytest.fixture
def answer_of(tool, capsys):
    """Run the tool: (exit code, stdout, stderr)."""
    return lambda *arguments: (tool(*arguments), *capsys.readouterr())


def test_list_show_verify_export_import(answer_of, zoo, tmp_path, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave your [bold]hand"), "wave", force=True)
    code, out, _ = answer_of("list")
    assert code == 0 and "humanoid/wave-v1" in out and "wave your [bold]hand" in out
    assert [entry["id"] for entry in json.loads(answer_of("list", "--kind", "skill", "--json")[1])] == [
        "humanoid/wave-v1"
    ]
    assert json.loads(answer_of("show", "humanoid/wave", "--json")[1])["low_level"]["id"] == "humanoid/low-level-v1"
    assert "humanoid/low-level-v1" in answer_of("show", "humanoid/wave")[1]
    assert answer_of("verify")[0] == 0
    archive, other = tmp_path / "wave.tar", tmp_path / "other"
    assert answer_of("export", "humanoid/wave", archive)[0] == 0
    assert json.loads(answer_of("import", archive, "--zoo", other, "--json")[1])["ids"][0] == "humanoid/wave-v1"
    assert answer_of("verify", "humanoid/wave-v1", "--zoo", other)[0] == 0
    blob = next(path for path in (other / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"")
    code, out, _ = answer_of("verify", "--zoo", other, "--json")
    assert code == 1 and any(report["problems"] for report in json.loads(out))


def test_every_other_command(answer_of, zoo, tmp_path, controller):
    skill_zoo.save(controller, "low-level", config={"rate": 1})
    skill_zoo.save(controller, "low-level", config={"rate": 2}, command=["tools/train_low_level.py", "--config", "x y"])
    skill_zoo.save(make_skill(controller, "wave"), "wave", force=True)

    def answer(*arguments):
        code, out, _ = answer_of(*arguments, "--json")
        assert code == 0
        return json.loads(out)

    assert answer("list", "--ids") == ["humanoid/low-level-v2", "humanoid/wave-v1"]
    assert answer_of("list", "--ids")[1] == "humanoid/low-level-v2\nhumanoid/wave-v1\n"
    assert [entry["remark"] for entry in answer("list")] == ["", "unverified"] and len(
        answer("list", "--limit", 1)
    ) == 1
    assert answer("diff", "humanoid/low-level@v1", "humanoid/low-level")["config.rate"] == [1, 2]
    assert "config.rate" in answer_of("diff", "humanoid/low-level@v1", "humanoid/low-level")[1]
    assert answer("alias", "humanoid/low-level-v1", "stable")["id"] == "humanoid/low-level-v1"
    assert answer("show", "humanoid/low-level@stable")["aliases"] == ["stable"]
    assert answer("lock", tmp_path / "a.lock", "humanoid/wave").keys() == {"humanoid/wave-v1", "humanoid/low-level-v2"}
    assert answer("push", tmp_path / "remote")["ids"] == ["humanoid/low-level-v2", "humanoid/wave-v1"]
    assert answer("pull", tmp_path / "remote", "humanoid/low-level", "--zoo", tmp_path / "b")["ids"] == [
        "humanoid/low-level-v2"
    ]
    assert answer("gc") == {"deleted": 0, "freed": 0, "restored": 0}
    assert "tools/train_low_level.py --config 'x y'" in answer_of("reproduce", "humanoid/low-level")[1]
    assert answer("reproduce", "humanoid/wave")["commands"] == []
    assert answer_of("reproduce", "humanoid/wave", "--run", tmp_path / "out")[0] == 2
    manifest = zoo / "entries/humanoid/wave/v1/manifest.json"
    manifest.write_bytes(b"{}")
    assert answer_of("verify", "--json")[0] == 1
    assert len(answer("verify", "--quarantine")["moved"]) == 1 and answer("list", "--ids") == ["humanoid/low-level-v2"]


def test_bad_input_is_one_message_and_exit_code_2(answer_of, zoo, tmp_path, controller):
    skill_zoo.save(controller, "low-level")
    (tmp_path / "text.tar").write_text("not an archive")
    for arguments in (
        ("show", "humanoid/low-levle"),
        ("show", "../../etc/passwd"),
        ("list", "--kind", "skil"),
        ("verify", "humanoid/nothing"),
        ("import", tmp_path / "text.tar"),
        ("import", tmp_path / "missing.tar"),
        ("export", "humanoid/low-level", tmp_path / "no" / "folder.tar"),
        ("alias", "humanoid/low-level", "v2"),
        ("lock", tmp_path / "no" / "a.lock"),
        ("pull", tmp_path / "nowhere"),
        ("diff", "humanoid/low-level", "humanoid/other"),
        ("show",),
        ("list", "--limit", "-3"),
        ("list", "--zoo", tmp_path / "mistyped"),
        ("gallery", tmp_path / "site", "--zoo", tmp_path / "mistyped"),
    ):
        code, out, err = answer_of(*arguments)
        assert code == 2 and out == "" and "Traceback" not in err
        assert "error: " in err
    assert "did you mean humanoid/low-level?" in answer_of("show", "humanoid/low-levle")[2]


def test_bash_completes_commands_options_and_ids(answer_of, zoo, tmp_path, controller):
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    skill_zoo.save(controller, "low-level")
    script = json.loads(answer_of("completion", "--json")[1])["script"]
    (tmp_path / "completion").write_text(script)

    def completed(*words: str) -> set[str]:
        line = f"source completion; COMP_WORDS=({' '.join(words)!s}); COMP_CWORD={len(words) - 1}; _zoo_py"
        line += '; printf "%s\\n" "${COMPREPLY[@]}"'
        environment = {**os.environ, "SKILL_ZOO_PATH": str(zoo), "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    assert completed("zoo.py", "re") == {"reproduce"}
    assert completed("zoo.py", "list", "--kind", "s") == {"skill"}
    assert completed("zoo.py", "export", "--o") == {"--onnx"}
    assert completed("zoo.py", "show", "humanoid/low") == {"humanoid/low-level-v1"}  # before the packaged one


def test_the_first_entry_of_the_listing_loads_in_a_fresh_process_and_nothing_is_compiled(zoo, controller):
    skill_zoo.save(controller, "low-level")
    skill_zoo.save(make_skill(controller, "wave"), "a-first", force=True)
    code = "import skill_zoo; s = skill_zoo.load(skill_zoo.list_skills()[0].id); print(s)"
    environment = {**os.environ, "SKILL_ZOO_PATH": str(zoo), "JAX_PLATFORMS": "cpu", "JAX_LOG_COMPILES": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "Skill(" in done.stdout and "humanoid/low-level-v1" in done.stdout
    assert "Compiling" not in done.stderr and "tracing" not in done.stderr
