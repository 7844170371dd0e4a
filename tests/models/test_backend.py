"""The backend is the one that was asked for, or an error."""

import os
import platform

import pytest

from stemcls.errors import InputError
from stemcls.models.backend import choose_backend, installed_backends, keep_freed_memory


def test_an_unknown_backend_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="no backend 'tensorflo'; did you mean 'tensorflow'"):
        choose_backend("tensorflo")


def test_a_backend_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'stemcls\[jax\]'"):
        choose_backend("jax")


def test_keras_cannot_change_horses():
    import keras

    others = [name for name in installed_backends() if name != keras.backend.backend()]
    if not others:
        pytest.skip("only one backend is installed")
    with pytest.raises(InputError, match="Keras already runs on"):
        choose_backend(others[0])


def test_freed_memory_is_kept_unless_the_user_has_tuned_the_allocator(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not keep_freed_memory()
