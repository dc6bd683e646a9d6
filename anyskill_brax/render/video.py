"""Films a motion: poses -> frames -> mp4 (H.264), gif or a sheet of stills, written whole or not at all."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import forward_kinematics
from anyskill_brax.render.camera import follow_camera
from anyskill_brax.render.raycast import make_renderer
from anyskill_brax.render.scene import Look, Scene
from anyskill_brax.types import UserError

BATCH = 8
"""Frames rendered at a time."""
MAX_GIF_FPS = 20.0
FOLLOW_SMOOTHING = 0.35
"""Standard deviation [s] of the filter on the path that the camera follows."""
CAMERAS = ("follow", "orbit", "fixed")
ORBIT_SECONDS = 8.0
"""How long an orbiting camera takes to come round."""


def frames(
    character: Character,
    qpos: np.ndarray,
    *,
    width: int = 480,
    height: int = 480,
    fps: float = 30.0,
    azimuth: float = 0.6,
    elevation: float = 0.2,
    frame: float = 2.5,
    supersample: int = 2,
    camera: str = "follow",
    scene: Scene | None = None,
    look: Look | None = None,
) -> Iterator[np.ndarray]:
    """`qpos [T, 35]` -> T pictures `[height, width, 3]` uint8.

    The camera "follow" glides along with the root and keeps its direction (`azimuth` [rad] counts from where the
    character faces in the first frame), so that turns are seen as turns; "orbit" circles it on the way; "fixed" stays
    on the middle of the path. `elevation` [rad], `frame` [m]: see `follow_camera`.
    """
    if camera not in CAMERAS:
        raise UserError(f"no camera {camera!r}; choose from {', '.join(CAMERAS)}")
    qpos = np.asarray(qpos, np.float32)
    if qpos.ndim != 2 or qpos.shape[1] != len(character.default_qpos) or not len(qpos) or not np.isfinite(qpos).all():
        raise UserError(f"a motion to film is finite qpos [T >= 1, {len(character.default_qpos)}], not {qpos.shape}")
    path = gaussian_filter1d(qpos[:, :3].astype(float), FOLLOW_SMOOTHING * fps, axis=0, mode="nearest")
    if camera == "fixed":
        path = np.broadcast_to(0.5 * (path.min(axis=0) + path.max(axis=0)), path.shape)
    azimuth = azimuth + float(rotations.heading(rotations.quat_normalize(jnp.asarray(qpos[0, 3:7]))))
    around = np.arange(len(qpos)) * (2.0 * np.pi / (ORBIT_SECONDS * fps)) if camera == "orbit" else np.zeros(len(qpos))
    around = np.asarray(azimuth + around, np.float32)
    render = make_renderer(scene or character, width, height, look=look, supersample=supersample, chunk=1)

    @jax.jit
    def shoot(qpos: jax.Array, focus: jax.Array, around: jax.Array) -> jax.Array:
        bodies = forward_kinematics(character, qpos, jnp.zeros((len(qpos), len(character.default_qpos) - 1)))
        view = follow_camera(bodies, around, elevation=elevation, frame=frame, focus=focus, relative_to_heading=False)
        return jnp.round(255.0 * jnp.asarray(render(bodies, view).rgb)).astype(jnp.uint8)

    for start in range(0, len(qpos), BATCH):
        window = np.minimum(np.arange(start, start + BATCH), len(qpos) - 1)  # the last frame fills the last batch
        pictures = np.asarray(shoot(qpos[window], np.asarray(path[window], np.float32), around[window]))
        yield from pictures[: len(qpos) - start]


def caption(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture `[H, W, 3]` uint8 with `text` on a dark bar along its lower edge; the font shrinks until it fits."""
    height, width = picture.shape[:2]
    image = Picture.fromarray(picture).convert("RGBA")
    size = max(9, height // 20)
    font = ImageFont.load_default(size)
    while size > 9 and font.getlength(text) > 0.94 * width:
        size -= 1
        font = ImageFont.load_default(size)
    bar = Picture.new("RGBA", image.size)
    draw = ImageDraw.Draw(bar)
    middle = height - int(0.9 * size)
    draw.rectangle((0, height - int(1.8 * size), width, height), fill=(22, 27, 34, 190))
    draw.text((width / 2, middle), text, font=font, fill=(245, 247, 250, 255), anchor="mm")
    return np.asarray(Picture.alpha_composite(image, bar).convert("RGB"))


def film(
    character: Character,
    qpos: np.ndarray,
    path: str | Path,
    *,
    fps: float = 30.0,
    text: str | Sequence[str] = "",
    **options,
) -> Path:
    """Render `qpos [T, 35]` to `path`, an .mp4 or .gif by its name; a gif keeps at most 20 frames a second.

    `text` is one caption, or one per frame; `options` are those of `frames`. The file appears under its name only
    when it is complete.
    """
    path = Path(path)
    if path.suffix not in (".mp4", ".gif"):
        raise UserError(f"a film's name ends in .mp4 or .gif, not {path.name!r}")
    if not isinstance(text, str) and len(text) != len(qpos):
        raise UserError(f"one caption per frame: {len(qpos)} frames, {len(text)} captions")
    width, height = options.get("width", 480), options.get("height", 480)
    if path.suffix == ".mp4" and (width % 2 or height % 2):
        raise UserError(f"H.264 wants an even width and height, not {width} x {height}")
    stride = int(np.ceil(fps / MAX_GIF_FPS)) if path.suffix == ".gif" else 1
    qpos, texts = np.asarray(qpos)[::stride], [text] if isinstance(text, str) else list(text)[::stride]
    shots = frames(character, qpos, fps=fps / stride, **options)
    captioned = (caption(p, texts[i % len(texts)]) if any(texts) else p for i, p in enumerate(shots))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        if path.suffix == ".gif":
            _write_gif(partial, captioned, fps / stride)
        else:
            _write_mp4(partial, captioned, width, height, fps)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def sheet(
    character: Character,
    qpos: np.ndarray,
    path: str | Path,
    *,
    fps: float = 30.0,
    text: str = "",
    stills: int = 8,
    columns: int = 4,
    **options,
) -> Path:
    """`stills` pictures of `qpos [T, 35]`, evenly spread in time, as one .png: rows of `columns`, read like text.

    Each still carries its second; `text` is captioned on the first. `options` are those of `frames`.
    """
    path = Path(path)
    if path.suffix != ".png" or stills < 1 or columns < 1:
        raise UserError(f"a sheet is a .png of stills in columns, >= 1 each, not {path.name!r}, {stills}, {columns}")
    qpos = np.asarray(qpos)
    chosen = np.unique(np.linspace(0, len(qpos) - 1, stills).round().astype(int)) if len(qpos) else []
    rate = fps * len(chosen) / max(1, len(qpos))  # of the stills, so that the camera's path is smoothed as in a film
    pictures = []
    for number, picture in zip(chosen, frames(character, qpos[chosen], fps=rate, **options), strict=True):
        moment = f"{number / fps:.1f} s"
        pictures.append(caption(picture, f"{text}  {moment}" if text and not pictures else moment))
    columns = min(columns, len(pictures))
    height, width = pictures[0].shape[:2]
    whole = Picture.new("RGB", (columns * width, -(-len(pictures) // columns) * height), (22, 27, 34))
    for k, picture in enumerate(pictures):
        whole.paste(Picture.fromarray(picture), (k % columns * width, k // columns * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        whole.save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_mp4(path: Path, pictures: Iterator[np.ndarray], width: int, height: int, fps: float) -> None:
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart", str(path.absolute())]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *raw, *coded]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin and encoder.stderr
        try:
            for picture in pictures:
                encoder.stdin.write(picture.tobytes())
            encoder.stdin.close()
            complaint = encoder.stderr.read().decode(errors="replace").strip()
        except BrokenPipeError:
            complaint = encoder.stderr.read().decode(errors="replace").strip()
        except BaseException:
            encoder.kill()  # and the with block waits for its end, so that it cannot write the file after its removal
            raise
    if encoder.returncode:
        raise OSError(f"ffmpeg ended with {encoder.returncode}: {complaint}")


def _write_gif(path: Path, pictures: Iterator[np.ndarray], fps: float) -> None:
    stills = [Picture.fromarray(p).quantize(128, dither=Picture.Dither.NONE) for p in pictures]
    milliseconds = 10 * max(2, round(100.0 / fps))  # gif counts hundredths; players refuse less than two
    stills[0].save(path, save_all=True, append_images=stills[1:], duration=milliseconds, loop=0, optimize=True)
