"""Applying `enable_gpu` and `gpu_memory_fraction` to a process."""

import importlib.util
import os

from daf.config.settings import DAFConfig


def apply_gpu_settings(config: DAFConfig) -> str:
    """Apply `config`'s GPU settings to this process, and return the device it may use: "cuda", "mps" or "cpu".

    For processes in which a network plays or learns, once and before CUDA is first used: imports torch if it is
    installed. Without `enable_gpu`, CUDA devices are hidden from this process and its children; with it, torch may use
    `gpu_memory_fraction` of each device's memory.
    """
    if not config.enable_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            torch.cuda.set_per_process_memory_fraction(config.gpu_memory_fraction, device)
        return "cuda"
    if torch.backends.mps.is_available():
        torch.mps.set_per_process_memory_fraction(config.gpu_memory_fraction)
        return "mps"
    return "cpu"
