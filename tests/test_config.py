from __future__ import annotations

from pathlib import Path

import pytest

from tool_server.config import Config, LoadedConfig
from tool_server.errors import InvalidInput


def write(folder: Path, text: str) -> dict[str, str]:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return {"TOOL_SERVER_CONFIG": str(path)}


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    environment = write(tmp_path, 'workers = 3\nport = 1111\nhost = "::1"\n[limits]\ntimeout = "5s"\n')
    environment |= {"TOOL_SERVER_PORT": "2222", "TOOL_SERVER_LIMITS__QUEUE": "7", "TOOL_SERVER_HOST": "localhost"}
    loaded = LoadedConfig.load(environment, {"host": "127.0.0.1", "port": None})
    config = loaded.config
    assert (config.workers, config.port, config.host) == (3, 2222, "127.0.0.1")
    assert (config.limits.timeout, config.limits.queue) == (5_000, 7)
    assert loaded.origins["workers"] == environment["TOOL_SERVER_CONFIG"]
    assert loaded.origins["port"] == "TOOL_SERVER_PORT"
    assert loaded.origins["limits.queue"] == "TOOL_SERVER_LIMITS__QUEUE"
    assert loaded.origins["host"] == "command line"


def test_the_data_folder_has_a_short_name_in_the_environment_and_holds_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "tool-server.toml").write_text("workers = 5\n", encoding="utf-8")
    config = LoadedConfig.load({"TOOL_SERVER_DATA": str(tmp_path)}).config
    assert config.data_dir == tmp_path
    assert config.workers == 5
    assert config.effective_database_url == f"sqlite:///{tmp_path}/tool-server.db"
    assert config.effective_artifacts_url == (tmp_path / "artifacts").as_uri()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("workers = 0", "workers (from"),
        ("worker = 2", "worker (from"),
        ('[limits]\ntimeout = "soon"', "'soon' is not a duration"),
        ('[limits]\nmemory = "lots"', "'lots' is not a size"),
        ("[limits]\nqueues = 2", "there is no such setting"),
        ("[limits]\ncaller_calls = 0", "limits.caller_calls (from"),
        ("[limits]\nplugin_queue = -1", "limits.plugin_queue (from"),
        ('[limits]\ncaller_cpu = "often"', "'often' is not a duration"),
        ("[limits]\nplugin_cpu = 0", "limits.plugin_cpu (from"),
        ("[limits]\nreserve = 17", "limits.reserve (from"),
        ('metrics = "perhaps"', "metrics (from"),
        ('[tracing]\nendpoint = "collector:4318"', "is no HTTP URL"),
        ("port = 70000", "less than or equal to 65535"),
        ("port = ", "is not TOML"),
        ('[filesystem.roots]\n"data" = "/srv:read"', "filesystem.roots (from"),
        ('[filesystem.roots]\n"/data" = "/srv"', "':read'"),
        ('[filesystem.roots]\n"/data" = "srv:read"', "not absolute"),
        ('[filesystem.roots]\n"/da/../ta" = "/srv:read"', "'..'"),
        ("[filesystem]\nroots = 7", "filesystem.roots (from"),
        ('[filesystem]\nroots = "/data"', "':read'"),
        ("[filesystem.roots]\n" + "".join(f'"/r{n}" = "/srv:read"\n' for n in range(17)), "at most 16"),
        ('data_dir = "what?"', "may not hold"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_its_place(tmp_path: Path, text: str, part: str) -> None:
    environment = write(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        LoadedConfig.load(environment)
    assert part in caught.value.message
    assert caught.value.code == "invalid_config"


def test_a_missing_settings_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read"):
        LoadedConfig.load({"TOOL_SERVER_CONFIG": str(tmp_path / "none.toml")})


def test_defaults_never_exceed_the_ceiling() -> None:
    config = Config.model_validate({"limits": {"timeout": "1s", "memory": "1MiB"}})
    assert config.limits.defaults().timeout_ms == 1_000
    assert config.limits.defaults().memory_bytes == 2**20


def test_lists_are_written_with_commas_in_the_environment() -> None:
    config = LoadedConfig.load({"TOOL_SERVER_ALLOWED_HOSTS": "a.example, b.example:*"}).config
    assert config.allowed_hosts == ("a.example", "b.example:*")


def test_shared_folders_are_a_table_in_the_file_and_pairs_in_the_environment(tmp_path: Path) -> None:
    environment = write(tmp_path, '[filesystem.roots]\n"/data" = "/srv/v1.2/data:read"\n"/o.ut" = "/srv/out:write"\n')
    loaded = LoadedConfig.load(environment)
    assert loaded.config.filesystem.roots == {"/data": "/srv/v1.2/data:read", "/o.ut": "/srv/out:write"}
    assert loaded.origins["filesystem.roots"] == environment["TOOL_SERVER_CONFIG"]
    environment |= {"TOOL_SERVER_FILESYSTEM__ROOTS": "/data=/srv/v1.2/data:read, /x = /srv/x:write"}
    assert dict(LoadedConfig.load(environment).config.filesystem.roots) == {
        "/data": "/srv/v1.2/data:read",
        "/x": "/srv/x:write",
    }


def test_a_database_and_artifacts_elsewhere_are_private_too(tmp_path: Path) -> None:
    config = Config(
        data_dir=tmp_path / "data",
        database_url=f"sqlite+pysqlite:///{tmp_path}/tool-server.db?mode=rw",
        artifacts_url=(tmp_path / "with space").as_uri(),
    )
    assert config.private_paths == (tmp_path / "data", tmp_path / "tool-server.db", tmp_path / "with space")
    remote = Config(data_dir=tmp_path, database_url="postgresql://h/d", artifacts_url="s3://bucket")
    assert remote.private_paths == (tmp_path,)
