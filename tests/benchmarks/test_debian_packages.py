import shutil
from pathlib import Path

import pytest

from benchmarks import debian_packages
from benchmarks.corpora import demo_folder
from benchmarks.debian_packages import PackageUnavailable, package_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "corpora"
    monkeypatch.setenv(debian_packages.CORPORA_DIR_VARIABLE, str(folder))
    monkeypatch.delenv(debian_packages.DEB_DIR_VARIABLE, raising=False)
    return folder


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_programs")
def test_unpacked_package_is_used_as_it_is(cache: Path) -> None:
    (cache / "some-media").mkdir(parents=True)
    assert package_folder("some-media") == cache / "some-media"


@pytest.mark.usefixtures("no_programs")
def test_machine_without_debian_tools_says_what_to_do(cache: Path) -> None:
    with pytest.raises(PackageUnavailable, match="no dpkg-deb") as caught:
        package_folder("some-media")
    assert str(cache / "some-media") in caught.value.message


def test_machine_without_apt_names_the_variable_for_a_mirror(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "apt-get" else name)
    with pytest.raises(PackageUnavailable, match="KINDRED_DEB_DIR"):
        package_folder("some-media")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is Debian's")
def test_deb_file_of_a_mirror_is_unpacked_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(
        "Package: some-media\nVersion: 1\nArchitecture: all\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: a test\n"
    )
    (source / "usr/share").mkdir(parents=True)
    (source / "usr/share/media.txt").write_text("here")
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", source, mirror / "some-media_1_all.deb"],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv(debian_packages.DEB_DIR_VARIABLE, str(mirror))
    folder = package_folder("some-media")
    assert (folder / "usr/share/media.txt").read_text() == "here"
    assert sorted(path.name for path in cache.iterdir()) == ["some-media"]
    shutil.rmtree(mirror)
    assert package_folder("some-media") == folder


@pytest.mark.usefixtures("no_programs")
def test_demo_without_packages_falls_back_and_says_so(tmp_path: Path) -> None:
    corpus = demo_folder(tmp_path / "demo")
    assert "no dpkg-deb" in corpus.notice
    assert corpus.folder.is_dir()
