"""An analytic ray caster in JAX: closed-form hits of MuJoCo's primitives and the floor, for a batch of worlds.

The primitives are unrolled at trace time, and one pass over the pixels keeps a running nearest hit, so no
[primitive, pixel] array exists. Distance and index share one int32 (positive floats sort like their bit patterns; the
primitive's index sits in the lowest bits), hence the pass has one output, which XLA turns into one vectorised loop.
Later passes look up the winner's parameters, take its exact distance, and shade it. Gradients flow through depth and
through the figure's shading; silhouettes, shadows and the floor's tiles have none.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.render import shading, tiled
from anyskill_brax.render.camera import Camera, look_at
from anyskill_brax.render.lens import Lens
from anyskill_brax.render.placement import FAR, Placed, floor, hit, place
from anyskill_brax.render.primitives import Vector, vector
from anyskill_brax.render.scene import FLOOR, ROWS, SKY, WORLD, Look, Scene, character_scene, index_mask
from anyskill_brax.types import UserError

OUTPUTS = ("rgb", "depth", "segmentation")
RAYS_IN_FLIGHT = 1 << 18
"""How many pixels are drawn at a time where the caller does not say: 64 pictures of 64 x 64, one of 512 x 512."""
BURIED = -1e5
"""The height [m] of a world's bodies whose poses are not numbers."""


@struct.dataclass
class Image:
    """What was asked for; the rest is None. Leading axes are those of bodies and cameras, broadcast."""

    rgb: jax.Array | None  # [..., H, W, 3] float32 in 0..1
    depth: jax.Array | None  # [..., H, W] along the camera's forward axis [m]; FAR in the sky
    segmentation: jax.Array | None  # [..., H, W] int32: body indices, -1 floor, -2 sky, -3 what stands still
    valid: jax.Array  # [...] bool; False where a pose or camera was not a number: nothing is drawn but floor and sky


@struct.dataclass
class _Backdrop:
    """What a fixed camera sees of everything that stands still, per ray `[N]`."""

    nearest: jax.Array  # int32 distance and index
    light: jax.Array  # the factor on the colour, before the shadows of what moves
    haze: jax.Array
    dark: jax.Array  # the standing things' own shadows


def _moving_first(scene: Scene) -> tuple[Scene, int]:
    """The same scene with what stands still at its end, and how many primitives move."""
    order = np.argsort(scene.body == WORLD, kind="stable")
    return dataclasses.replace(scene, **{name: getattr(scene, name)[order] for name in ROWS}), int(
        (scene.body != WORLD).sum()
    )


def _nearest(scene: Scene, rows: range, placed: Placed, ray: Vector, backdrop: _Backdrop | None) -> jax.Array:
    """Distance and index of what each ray meets first `[N]` int32: a primitive of `rows`, P the floor, P + 1 the sky.

    It starts from what the backdrop knows.
    """
    mask = index_mask(scene)

    def key(distance: jax.Array, index: int) -> jax.Array:
        return (jax.lax.bitcast_convert_type(distance, jnp.int32) & ~mask) | index

    if backdrop is not None:
        best = backdrop.nearest
    else:
        ground, _ = floor(placed, ray)
        best = jnp.where(ground < FAR, key(ground, len(scene)), key(jnp.full_like(ground, FAR), len(scene) + 1))
    for i in rows:
        distance, positive = hit(scene, placed, ray, i)
        best = jnp.where((positive > 0.0) & (distance > 0.0), jnp.minimum(best, key(distance, i)), best)
    return best


def _depth(scene: Scene, placed: Placed, ray: Vector, index: jax.Array) -> jax.Array:
    """Depth along the camera's forward axis `[N]` [m]."""
    met, _ = shading.surface(scene, range(len(scene)), placed, ray, index)
    distance = jnp.where(index < len(scene), met, floor(placed, ray)[0])
    return jnp.where(index > len(scene), FAR, distance * ray[2])


def _light(
    scene: Scene, look: Look, rows: range, placed: Placed, ray: Vector, pixel: jax.Array, index: jax.Array, backdrop
) -> jax.Array:
    """The factor on each pixel's colour `[N]`: sun and sky on primitives, tiles and shadow on the floor.

    `rows` are lit anew; with a backdrop the others and the floor's tiles come from there.
    """
    met, normal = shading.surface(scene, rows, placed, ray, index)
    still, still_ray = jax.lax.stop_gradient((placed, ray))
    on_floor, on_rows = index == len(scene), index < rows.stop
    ground = jnp.ones_like(ray[0])
    if backdrop is not None:
        ground = backdrop.light
    elif look.floor_texture is None:
        ground = shading.tiles(look, still, still_ray, jax.lax.stop_gradient(pixel))
    dark = jnp.zeros_like(ray[0])
    if look.shadow > 0.0:
        distance, _ = floor(still, still_ray)
        if look.hard_shadow:
            distance = jnp.where(on_rows, jax.lax.stop_gradient(met), distance)
            up = [
                jax.lax.select(on_rows, n, jnp.full_like(n, w))
                for n, w in zip(normal, vector(still.world[:, 2]), strict=True)
            ]
            point = [distance * r + shading.SKIN * jax.lax.stop_gradient(n) for r, n in zip(still_ray, up, strict=True)]
            dark = shading.hard_shadow(scene, still, point)
        else:
            dark = shading.soft_shadow(scene, rows, still, [distance * r for r in still_ray])
            dark = dark if backdrop is None else jnp.maximum(dark, backdrop.dark)
    figure = shading.sunlit(look, placed, ray, normal, dark if look.hard_shadow else 0.0)
    rest = ground if backdrop is not None else 1.0
    return jnp.where(on_rows, figure, jnp.where(on_floor, ground * (1.0 - look.shadow * dark), rest))


def _backdrop(scene: Scene, look: Look, rows: range, camera: Camera, lens: Lens) -> _Backdrop:
    """What stands still (`rows`), the floor and the sky, seen by a fixed camera."""
    bodies = max(1, int(scene.body.max(initial=0)) + 1)
    nought, upright = jnp.zeros((bodies, 3)), jnp.tile(jnp.array([1.0, 0.0, 0.0, 0.0]), (bodies, 1))
    placed = place(scene, look, nought, upright, camera)
    bare, mask = dataclasses.replace(look, shadow=0.0), index_mask(scene)

    def rays(plane: Sequence[jax.Array]) -> Vector:
        return lens.rays(plane, camera)

    def lit(plane: Sequence[jax.Array], index: jax.Array) -> jax.Array:
        return _light(scene, bare, rows, placed, rays(plane), lens.pixel(camera), index, None)

    def shaded(plane: Sequence[jax.Array]) -> jax.Array:
        distance, _ = floor(placed, rays(plane))
        return shading.soft_shadow(scene, rows, placed, [distance * r for r in rays(plane)])

    nearest = lens.each(lambda plane: _nearest(scene, rows, placed, rays(plane), None))
    index = nearest & mask
    return _Backdrop(
        nearest=nearest,
        light=lens.each(lit, index),
        haze=lens.each(lambda plane, index: shading.haze(scene, look, placed, rays(plane), index), index),
        dark=lens.each(shaded),
    )


def _checked(pos: jax.Array, rot: jax.Array, camera: Camera) -> tuple[jax.Array, jax.Array, Camera, jax.Array]:
    """One world and whether it is all numbers; bodies that are not are buried, such a camera looks ahead."""
    sound = jnp.isfinite(pos).all() & jnp.isfinite(rot).all()
    aimed = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(camera)]).all()
    upright = jnp.array([1.0, 0.0, 0.0, 0.0])
    pos = jnp.where(sound, pos, jnp.array([0.0, 0.0, BURIED]))
    rot = jnp.where(sound, rot, upright)
    ahead = look_at(jnp.array([-3.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 1.0]), 0.6)
    camera = jax.tree.map(lambda own, default: jnp.where(aimed, own, default), camera, ahead)
    return pos, rot, camera, sound & aimed


def make_renderer(
    scene: Scene | Character,
    width: int,
    height: int,
    *,
    outputs: Sequence[str] = ("rgb",),
    look: Look | None = None,
    supersample: int = 1,
    chunk: int | None = None,
    camera: Camera | None = None,
    tiles: bool = True,
) -> Callable[..., Image]:
    """Compile-time choices -> `render(bodies, camera) -> Image`, a pure function for jit, vmap, scan and grad.

    Args:
        scene: the table of primitives; a character stands for its own (`character_scene`).
        width, height: of the picture in pixels.
        outputs: which of "rgb", "depth", "segmentation" to compute; the others cost nothing.
        look: light, sky and floor.
        supersample: antialiasing: rays per pixel and side for rgb; depth and segmentation take the pixel's centre.
        chunk: worlds in flight at a time; by default as many as `RAYS_IN_FLIGHT` allows, which bounds the memory.
        camera: one that never moves, for all worlds: what stands still is drawn once, here. `render` takes no other.
        tiles: draw tile by tile where that can be done, on a CPU (`tiled.py`); otherwise always ray by ray. The same
            picture, at another speed.

    Returns:
        A function of `bodies [..., B]` and a camera, whose leading axes broadcast against each other: bodies
        `[W, 1]` and cameras `[W, V]` are V pictures of each world. Worlds whose poses are not numbers show an empty
        floor, and `Image.valid` says which they are.
    """
    if unknown := set(outputs) - set(OUTPUTS):
        raise UserError(f"unknown image output {sorted(unknown)}; choose from {', '.join(OUTPUTS)}")
    if min(width, height, supersample) < 1 or (chunk is not None and chunk < 1):
        raise UserError(f"width, height, supersample, chunk are >= 1, not {width}, {height}, {supersample}, {chunk}")
    if camera is not None and camera.fovy.ndim:
        raise UserError(f"a fixed camera is one camera, not a batch {camera.fovy.shape}; pass several to `render`")
    scene, moving = _moving_first(character_scene(scene) if isinstance(scene, Character) else scene)
    look = Look() if look is None else look
    mask, everything = index_mask(scene), range(len(scene))
    palette, horizon = shading.colours(scene, look), jnp.asarray(look.horizon, jnp.float32)
    labels = jnp.asarray(np.concatenate([scene.label, [FLOOR, SKY]]), jnp.int32)
    fine, coarse = Lens(width, height, supersample), Lens(width, height, 1)
    labelled = bool(set(outputs) - {"rgb"})
    rows = everything if camera is None else range(moving)
    lit_rows = everything if look.hard_shadow else rows
    backdrops: dict[int, _Backdrop] = {}
    if camera is not None:
        sides = ([supersample] if "rgb" in outputs else []) + ([1] if labelled else [])
        draw = jax.jit(lambda lens: _backdrop(scene, look, range(moving, len(scene)), camera, lens), static_argnums=0)
        backdrops = {side: draw(Lens(width, height, side)) for side in sides}

    def indices(lens: Lens, placed: Placed, camera: Camera) -> jax.Array:
        frozen = jax.lax.stop_gradient(placed)

        def nearest(plane: Sequence[jax.Array], backdrop: _Backdrop | None) -> jax.Array:
            return _nearest(scene, rows, frozen, lens.rays(plane, camera), backdrop) & mask

        return lens.each(nearest, backdrops.get(lens.side))

    def colour(placed: Placed, camera: Camera) -> jax.Array:
        index, behind, pixel = indices(fine, placed, camera), backdrops.get(supersample), fine.pixel(camera)

        def light(plane: Sequence[jax.Array], index: jax.Array, backdrop: _Backdrop | None) -> jax.Array:
            lit = None if look.hard_shadow else backdrop
            return _light(scene, look, lit_rows, placed, fine.rays(plane, camera), pixel, index, lit)

        def veil(plane: Sequence[jax.Array], index: jax.Array, backdrop: _Backdrop | None) -> jax.Array:
            if backdrop is not None:
                return jnp.where(index < moving, 0.0, backdrop.haze)
            return shading.haze(scene, look, placed, fine.rays(plane, camera), index)

        def row(plane: Sequence[jax.Array], index: jax.Array) -> jax.Array:
            return shading.texel(scene, look, placed, fine.rays(plane, camera), index)

        textured = look.floor_texture is not None or look.sky_texture is not None
        paint = palette[fine.each(row, index) if textured else index]
        rgb = paint * fine.each(light, index, behind)[:, None]
        rgb = jnp.clip(rgb + fine.each(veil, index, behind)[:, None] * (horizon - rgb), 0.0, 1.0)
        return rgb.reshape(height, supersample, width, supersample, 3).mean(axis=(1, 3))

    def image(placed: Placed, view: Camera, valid: jax.Array, rgb: jax.Array | None, index: jax.Array | None) -> Image:
        depth = segmentation = None
        if index is not None:
            if "depth" in outputs:
                met = coarse.each(lambda plane, i: _depth(scene, placed, coarse.rays(plane, view), i), index)
                depth = met.reshape(height, width)
            segmentation = labels[index].reshape(height, width) if "segmentation" in outputs else None
        return Image(rgb=rgb, depth=depth, segmentation=segmentation, valid=valid)

    def by_rays(pos: jax.Array, rot: jax.Array, view: Camera) -> Image:
        pos, rot, view, valid = _checked(pos, rot, view)
        placed = place(scene, look, pos, rot, view)
        rgb = colour(placed, view) if "rgb" in outputs else None
        return image(placed, view, valid, rgb, indices(coarse, placed, view) if labelled else None)

    def by_tiles(pos: jax.Array, rot: jax.Array, view: Camera) -> Image:
        pos, rot, view, valid = jax.vmap(_checked)(pos, rot, view)
        placed = jax.vmap(lambda *world: place(scene, look, *world))(pos, rot, view)
        rgb = index = None
        if "rgb" in outputs:
            rgb = tiled.colours(scene, look, placed, view, fine)
            rgb = rgb.reshape(-1, height, supersample, width, supersample, 3).mean(axis=(2, 4))
        if labelled:
            index = tiled.indices(scene, placed, view, coarse)
        return jax.vmap(image)(placed, view, valid, rgb, index)

    @jax.custom_jvp
    def photograph(pos: jax.Array, rot: jax.Array, view: Camera) -> Image:
        if not tiles or camera is not None or not len(scene) or not tiled.can_draw(look, fine, coarse):
            return jax.vmap(by_rays)(pos, rot, view)
        return jax.lax.platform_dependent(pos, rot, view, cpu=by_tiles, default=jax.vmap(by_rays))

    photograph.defjvp(lambda point, slope: (photograph(*point), jax.jvp(jax.vmap(by_rays), point, slope)[1]))

    def render(bodies: BodyState, view: Camera | None = None) -> Image:
        if (view is None) == (camera is None):
            raise UserError("give `render` a camera, unless `make_renderer` was given the fixed one")
        view = camera if view is None else view
        assert view is not None
        lead = jnp.broadcast_shapes(bodies.pos.shape[:-2], view.fovy.shape)
        worlds = int(np.prod(lead))

        def flat(x: jax.Array, own: int) -> jax.Array:
            shape = x.shape[x.ndim - own :]
            return jnp.broadcast_to(x, (*lead, *shape)).reshape(worlds, *shape)

        axes = [flat(v, 1) for v in (view.pos, view.right, view.up, view.forward)]
        items = flat(bodies.pos, 2), flat(bodies.rot, 2), Camera(*axes, fovy=flat(view.fovy, 0))
        limit = chunk or max(1, RAYS_IN_FLIGHT // (width * height * supersample**2))
        images = _in_chunks(photograph, items, _even_chunk(worlds, limit))
        return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), images)

    return render


def _in_chunks(work: Callable[..., Any], items: tuple, size: int) -> Any:
    """`work` on the leading axis of `items`, so many at a time, and the rest."""
    count = len(items[0])
    whole = count - count % size
    parts = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), items)
    done = jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), jax.lax.map(lambda part: work(*part), parts))
    if whole == count:
        return done
    rest = work(*jax.tree.map(lambda x: x[whole:], items))
    return jax.tree.map(lambda x, y: jnp.concatenate([x, y]), done, rest)


def _even_chunk(worlds: int, limit: int) -> int:
    """At most `limit` worlds at a time; the largest number that leaves no rest, which would be compiled on its own."""
    fair = max(n for n in range(1, max(1, min(limit, worlds)) + 1) if worlds % n == 0)
    return fair if 2 * fair > limit or fair == worlds else limit
