"""An analytic ray caster in JAX: closed-form hits of spheres, capsules, boxes and the floor, for a batch of worlds.

The primitives are unrolled at trace time, and one pass over the pixels keeps a running nearest hit, so no
[primitive, pixel] array exists. Distance and index share one int32 (positive floats sort like their bit patterns; the
primitive's index sits in the lowest bits), hence the pass has one output, which XLA turns into one vectorised loop.
Later passes look up the winner's parameters, take its exact distance, and shade it. Gradients flow through depth and
through the figure's shading; silhouettes, shadows and the floor's tiles have none.
All geometry is in the camera's frame (right, up, forward), where the rays are the same in every world.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from anyskill_brax import rotations
from anyskill_brax.character.humanoid import Character
from anyskill_brax.character.kinematics import BodyState
from anyskill_brax.render.camera import Camera
from anyskill_brax.render.scene import BOX, FLOOR, SKY, SPHERE, WORLD, Look, Scene, character_scene
from anyskill_brax.types import UserError

FAR = 1000.0
"""Depth of the sky [m]."""
OUTPUTS = ("rgb", "depth", "segmentation")

Vector = Sequence[jax.Array]  # x, y, z apart, `[N]` or scalar: component-wise sums fuse
Stage = Callable[["_Placed", Vector, jax.Array, jax.Array], jax.Array]


@struct.dataclass
class Image:
    """What was asked for; the rest is None. Leading axes are those of the bodies."""

    rgb: jax.Array | None  # [..., H, W, 3] float32 in 0..1
    depth: jax.Array | None  # [..., H, W] along the camera's forward axis [m]; FAR in the sky
    segmentation: jax.Array | None  # [..., H, W] int32: the scene's labels (body indices), -1 floor, -2 sky


@struct.dataclass
class _Placed:
    """The scene of one world in the camera's frame."""

    centre: jax.Array  # [P, 3]; of a capsule, its lower end
    axes: jax.Array  # [P, 3, 3] columns are the primitive's own x, y, z
    world: jax.Array  # [3, 3] columns are the world's x, y, z
    camera: jax.Array  # [3] the camera's position in the world
    light: jax.Array  # [3] unit, towards the light
    shade_x: jax.Array  # [3] unit; with shade_y it spans the plane that the light looks at
    shade_y: jax.Array  # [3]


def _dot(a: Vector, b: Vector) -> jax.Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _vector(v: jax.Array) -> Vector:
    return v[0], v[1], v[2]


def _columns(m: jax.Array) -> list[Vector]:
    return [_vector(m[:, k]) for k in range(3)]


def _sqrt(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.maximum(x, 1e-12))  # finite slope on a silhouette


def _capsule(ray: Vector, base: Vector, axis: Vector, length, radius) -> tuple[jax.Array, jax.Array]:
    """Distance along the unit `ray` to a capsule, and a discriminant that is positive where it is hit.

    The ray meets the infinite cylinder at the axis point s; clamped to the segment, s is the centre of the one sphere
    of the capsule that the ray meets first, on the side and on the caps alike.
    """
    along, b, end = _dot(ray, axis), _dot(ray, base), _dot(base, axis)
    square = _dot(base, base) - radius * radius
    a = jnp.maximum(1.0 - along * along, 1e-7)
    half = b - end * along
    t = (half - _sqrt(half * half - a * (square - end * end))) / a
    s = jnp.clip(t * along - end, 0.0, length)
    b = b + s * along
    discriminant = b * b - (square + s * (s + 2.0 * end))
    return b - _sqrt(discriminant), discriminant


def _sphere(ray: Vector, centre: Vector, radius) -> tuple[jax.Array, jax.Array]:
    b = _dot(ray, centre)
    discriminant = b * b - (_dot(centre, centre) - radius * radius)
    return b - _sqrt(discriminant), discriminant


def _slabs(ray: Vector, centre: Vector, axes: Sequence[Vector], half: Sequence) -> tuple[list, list]:
    """Where the ray enters and leaves each of a box's three slabs; `axes[k]` is a slab's normal."""
    near, far = [], []
    for axis, depth in zip(axes, half, strict=True):
        speed = _dot(ray, axis)
        inverse = 1.0 / jnp.where(jnp.abs(speed) < 1e-6, 1e-6, speed)
        middle, reach = _dot(centre, axis) * inverse, depth * jnp.abs(inverse)
        near.append(middle - reach)
        far.append(middle + reach)
    return near, far


def _hit(scene: Scene, placed: _Placed, ray: Vector, i: int) -> tuple[jax.Array, jax.Array]:
    """Distance to primitive `i` and a number that is positive where it is hit."""
    centre = _vector(placed.centre[i])
    if scene.kind[i] == BOX:
        near, far = _slabs(ray, centre, _columns(placed.axes[i]), scene.size[i].tolist())
        enter, leave = (
            jnp.maximum(jnp.maximum(near[0], near[1]), near[2]),
            jnp.minimum(jnp.minimum(far[0], far[1]), far[2]),
        )
        return enter, leave - enter
    if scene.kind[i] == SPHERE:
        return _sphere(ray, centre, float(scene.size[i, 0]))
    return _capsule(ray, centre, _vector(placed.axes[i, :, 2]), 2.0 * float(scene.size[i, 1]), float(scene.size[i, 0]))


def _place(scene: Scene, look: Look, bodies: BodyState, camera: Camera) -> _Placed:
    """One world: every primitive, the light and the world's axes, seen from the camera."""
    fixed = (scene.body == WORLD)[:, None]
    pos = jnp.where(
        fixed, scene.pos, bodies.pos[scene.body] + rotations.rotate(bodies.rot[scene.body], jnp.asarray(scene.pos))
    )
    rot = jnp.where(fixed, scene.rot, rotations.quat_mul(bodies.rot[scene.body], jnp.asarray(scene.rot)))
    view = jnp.stack([camera.right, camera.up, camera.forward])
    relative = pos - camera.pos
    centre = jnp.stack([jnp.sum(relative * row, axis=-1) for row in view], axis=-1)
    axes = jnp.einsum("ij,pjk->pik", view, rotations.to_matrix(rot), precision="highest")
    half = np.where((scene.kind == BOX) | (scene.kind == SPHERE), 0.0, scene.size[:, 1]).astype(np.float32)
    light = np.array(look.light) / np.linalg.norm(look.light)
    shade_x = np.cross(light, (0.0, 1.0, 0.0))
    shade_x /= np.linalg.norm(shade_x)
    light, shade_x, shade_y = (
        (view * jnp.asarray(v, jnp.float32)).sum(axis=-1) for v in (light, shade_x, np.cross(light, shade_x))
    )
    return _Placed(
        centre=centre - half[:, None] * axes[:, :, 2],
        axes=axes,
        world=view,
        camera=camera.pos,
        light=light,
        shade_x=shade_x,
        shade_y=shade_y,
    )


def _floor(placed: _Placed, ray: Vector) -> tuple[jax.Array, jax.Array]:
    """Distance to the floor (FAR where the ray misses it) and the ray's climb (its world z)."""
    climb = _dot(ray, _vector(placed.world[:, 2]))
    falls = climb < -placed.camera[2] / FAR
    return jnp.where(falls, -placed.camera[2] / jnp.where(falls, climb, -1.0), FAR), climb


def _nearest(scene: Scene, placed: _Placed, ray: Vector) -> jax.Array:
    """The index of what each ray meets first `[N]` int32: a primitive, P the floor, P + 1 the sky."""
    mask = (1 << (len(scene) + 1).bit_length()) - 1
    floor, _ = _floor(placed, ray)

    def key(distance: jax.Array, index: int) -> jax.Array:
        return (jax.lax.bitcast_convert_type(distance, jnp.int32) & ~mask) | index

    best = jnp.where(floor < FAR, key(floor, len(scene)), key(jnp.full_like(floor, FAR), len(scene) + 1))
    for i in range(len(scene)):
        distance, positive = _hit(scene, placed, ray, i)
        best = jnp.where((positive > 0.0) & (distance > 0.0), jnp.minimum(best, key(distance, i)), best)
    return best & mask


def _select(rows: tuple[int, ...], index: jax.Array, values: jax.Array) -> jax.Array:
    """`values[index]` for an index among `rows`, by a chain of selects: it vectorises where a gather does not."""
    out = jnp.broadcast_to(values[rows[0]], index.shape)
    for i in rows[1:]:
        out = jnp.where(index == i, values[i], out)
    return out


def _select_forward(rows: tuple[int, ...], index: jax.Array, values: jax.Array):
    return _select(rows, index, values), (index, len(values))


def _select_backward(rows: tuple[int, ...], kept: tuple[jax.Array, int], slope: jax.Array):
    # One product, not a sum for every primitive: each sum would become a loop that repeats the pass.
    index, count = kept
    return None, slope @ (index[:, None] == jnp.arange(count)).astype(slope.dtype)


_pick = jax.custom_vjp(_select, nondiff_argnums=(0,))
_pick.defvjp(_select_forward, _select_backward)


def _surface(scene: Scene, placed: _Placed, ray: Vector, index: jax.Array) -> tuple[jax.Array, Vector]:
    """Distance to the winning primitive and its unit normal, `[N]` each; meaningless on floor and sky."""
    distance: jax.Array = jnp.full_like(ray[0], FAR)
    normal: Vector = [jnp.zeros_like(ray[0])] * 3
    size, is_box = jnp.asarray(scene.size), scene.kind == BOX
    swept, boxes = (tuple(int(i) for i in np.flatnonzero(mask)) for mask in (~is_box, is_box))
    if swept:
        base = [_pick(swept, index, placed.centre[:, k]) for k in range(3)]
        axis = [_pick(swept, index, placed.axes[:, k, 2]) for k in range(3)]
        radius = _pick(swept, index, size[:, 0])
        length = _pick(swept, index, jnp.where(scene.kind == SPHERE, 0.0, 2.0 * size[:, 1]))
        distance, _ = _capsule(ray, base, axis, length, radius)
        arm = [distance * r - b for r, b in zip(ray, base, strict=True)]
        s = jnp.clip(_dot(arm, axis), 0.0, length)
        normal = [(v - s * a) / radius for v, a in zip(arm, axis, strict=True)]
    if boxes:
        centre = [_pick(boxes, index, placed.centre[:, k]) for k in range(3)]
        half = [_pick(boxes, index, size[:, k]) for k in range(3)]
        axes = [[_pick(boxes, index, placed.axes[:, k, j]) for k in range(3)] for j in range(3)]
        near, _ = _slabs(ray, centre, axes, half)
        enter, face = near[0], axes[0]
        for j in (1, 2):
            later = near[j] > enter
            enter = jnp.where(later, near[j], enter)
            face = [jnp.where(later, new, old) for new, old in zip(axes[j], face, strict=True)]
        outward = -jnp.sign(_dot(ray, face))
        on_box = jnp.zeros(index.shape, bool)
        for i in boxes:
            on_box = on_box | (index == i)
        distance = jax.lax.select(on_box, enter, distance)
        normal = [jax.lax.select(on_box, outward * f, n) for f, n in zip(face, normal, strict=True)]
    return distance, normal


def _shadow(scene: Scene, placed: _Placed, point: Vector) -> jax.Array:
    """How much light each floor point loses, 0..1: seen from the light, distance to every primitive's outline."""
    dark = jnp.zeros_like(point[0])
    sun, across = _vector(placed.light), (_vector(placed.shade_x), _vector(placed.shade_y))
    flat = [_dot(point, a) for a in across]
    for i in range(len(scene)):
        if scene.kind[i] == BOX:
            from_point = tuple(c - p for c, p in zip(_vector(placed.centre[i]), point, strict=True))
            near, far = _slabs(sun, from_point, _columns(placed.axes[i]), scene.size[i].tolist())
            inside = jnp.minimum(jnp.minimum(far[0], far[1]), far[2]) - jnp.maximum(
                jnp.maximum(near[0], near[1]), near[2]
            )
            dark = jnp.maximum(dark, jnp.clip(inside / float(scene.size[i].min()), 0.0, 1.0))
            continue
        base = [_dot(_vector(placed.centre[i]), a) for a in across]
        x, y = flat[0] - base[0], flat[1] - base[1]
        if scene.kind[i] != SPHERE:
            reach = [2.0 * float(scene.size[i, 1]) * _dot(_vector(placed.axes[i, :, 2]), a) for a in across]
            s = (x * reach[0] + y * reach[1]) / (reach[0] * reach[0] + reach[1] * reach[1] + 1e-9)
            s = jnp.clip(s, 0.0, 1.0)
            x, y = x - s * reach[0], y - s * reach[1]
        square = (x * x + y * y) * float(1.0 / scene.size[i, 0] ** 2)
        dark = jnp.maximum(dark, jnp.clip(1.55 - square, 0.0, 1.0))  # the outline is at square = 1
    return dark


def _checker(look: Look, distance: jax.Array, pixel: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """+-1 tiles, each edge as wide as the pixel's footprint, so that far tiles fade instead of flickering."""

    def wave(v: jax.Array) -> jax.Array:
        phase = v / (2.0 * look.tile)
        triangle = 4.0 * jnp.abs(phase - jnp.floor(phase) - 0.5) - 1.0
        return jnp.clip(triangle / (2.0 * distance * pixel / look.tile + 1e-3), -1.0, 1.0)

    return wave(x) * wave(y)


def _depth(scene: Scene, placed: _Placed, ray: Vector, pixel: jax.Array, index: jax.Array) -> jax.Array:
    """Depth along the camera's forward axis `[N]` [m]."""
    distance = jnp.where(index < len(scene), _surface(scene, placed, ray, index)[0], _floor(placed, ray)[0])
    return jnp.where(index > len(scene), FAR, distance * ray[2])


def _light(scene: Scene, look: Look, placed: _Placed, ray: Vector, pixel: jax.Array, index: jax.Array) -> jax.Array:
    """The factor on each pixel's colour `[N]`: ambient, sun, sky, highlight on the figure; tiles, shadow on floor."""
    _, normal = _surface(scene, placed, ray, index)
    toward = _dot(normal, _vector(placed.light))
    mirrored = 2.0 * toward * _dot(normal, ray) - _dot(ray, _vector(placed.light))  # cosine of light and reflected eye
    figure = look.ambient + look.diffuse * jnp.maximum(toward, 0.0) + look.gloss * jnp.maximum(-mirrored, 0.0) ** 12
    figure = figure + look.skylight * _dot(normal, _vector(placed.world[:, 2]))
    placed, ray, pixel = jax.lax.stop_gradient((placed, ray, pixel))
    distance, climb = _floor(placed, ray)
    point = [distance * r for r in ray]
    x, y = (placed.camera[k] + _dot(point, _vector(placed.world[:, k])) for k in range(2))
    ground = 1.0 + look.checker * _checker(look, distance, pixel / jnp.maximum(-climb, 0.02), x, y)
    if look.shadow > 0.0:
        ground = ground * (1.0 - look.shadow * _shadow(scene, placed, point))
    return jnp.where(index < len(scene), figure, jnp.where(index == len(scene), ground, 1.0))


def _haze(scene: Scene, look: Look, placed: _Placed, ray: Vector, pixel: jax.Array, index: jax.Array) -> jax.Array:
    """How far each pixel is blended into the horizon's colour `[N]`: floor by distance, sky by height, figure never."""
    distance, climb = _floor(*jax.lax.stop_gradient((placed, ray)))
    haze = (distance / look.haze) ** 2
    sky = 1.0 - jnp.clip(1.7 * climb, 0.0, 1.0)
    return jnp.where(index < len(scene), 0.0, jnp.where(index == len(scene), haze / (1.0 + haze), sky))


def make_renderer(
    character: Character,
    width: int,
    height: int,
    *,
    outputs: Sequence[str] = ("rgb",),
    scene: Scene | None = None,
    look: Look | None = None,
    supersample: int = 1,
    chunk: int = 64,
) -> Callable[[BodyState, Camera], Image]:
    """Compile-time choices -> `render(bodies, camera) -> Image`, a pure function for jit, vmap, scan and grad.

    Args:
        character: its geoms are drawn unless `scene` says otherwise.
        width, height: of the picture in pixels.
        outputs: which of "rgb", "depth", "segmentation" to compute; the others cost nothing.
        scene: the table of primitives.
        look: light, sky and floor.
        supersample: rays per pixel and side for rgb; depth and segmentation always take the pixel's centre.
        chunk: worlds in flight at a time: memory is bounded by `chunk * width * height * supersample^2` pixels.

    Returns:
        A function of `bodies [..., B]` and a camera whose leading axes broadcast against them.
    """
    if unknown := set(outputs) - set(OUTPUTS):
        raise UserError(f"unknown image output {sorted(unknown)}; choose from {', '.join(OUTPUTS)}")
    scene = character_scene(character) if scene is None else scene
    look = Look() if look is None else look
    palette = jnp.asarray(np.concatenate([scene.rgb, [scene.floor_rgb, look.zenith]]), jnp.float32)
    labels = jnp.asarray(np.concatenate([scene.label, [FLOOR, SKY]]), jnp.int32)
    horizon = jnp.asarray(look.horizon, jnp.float32)

    def trace(placed: _Placed, camera: Camera, samples: int, *stages: Stage) -> list[jax.Array]:
        """Run stages over every pixel; each sees the index of the nearest primitive."""
        rows, columns = height * samples, width * samples
        y, x = np.divmod(np.arange(rows * columns), columns)
        x, y = (2.0 * x + 1.0 - columns) / rows, (rows - 1.0 - 2.0 * y) / rows
        parts = next(n for n in (2, 3, 5, 7, x.size) if x.size % n == 0)
        plane = tuple(jnp.asarray(v.reshape(parts, -1), jnp.float32) for v in (x, y))
        scale = jnp.tan(0.5 * camera.fovy)
        pixel = 2.0 * scale / rows

        def ray(plane: tuple[jax.Array, jax.Array]) -> Vector:
            x, y = scale * plane[0], scale * plane[1]
            z = jax.lax.rsqrt(1.0 + x * x + y * y)
            return x * z, y * z, z

        index = jax.lax.map(lambda item: _nearest(scene, jax.lax.stop_gradient(placed), ray(item)), plane)
        # One scan per stage, of at least two parts: XLA fuses straight through barriers and scans of one step, and
        # would then repeat the first pass for every later use of its result.
        done = [jax.lax.map(lambda item, f=f: f(placed, ray(item[0]), pixel, item[1]), (plane, index)) for f in stages]
        return [a.reshape(-1) for a in (index, *done)]

    def render_one(bodies: BodyState, camera: Camera) -> Image:
        placed = _place(scene, look, bodies, camera)
        rgb = depth = segmentation = None
        if "rgb" in outputs:
            index, light, haze = trace(
                placed, camera, supersample, partial(_light, scene, look), partial(_haze, scene, look)
            )
            rgb = palette[index] * light[:, None]
            rgb = jnp.clip(rgb + haze[:, None] * (horizon - rgb), 0.0, 1.0)
            rgb = rgb.reshape(height, supersample, width, supersample, 3).mean(axis=(1, 3))
        if "depth" in outputs or "segmentation" in outputs:
            index, distance = trace(placed, camera, 1, partial(_depth, scene))
            depth = distance.reshape(height, width) if "depth" in outputs else None
            segmentation = labels[index].reshape(height, width) if "segmentation" in outputs else None
        return Image(rgb=rgb, depth=depth, segmentation=segmentation)

    def render(bodies: BodyState, camera: Camera) -> Image:
        lead = bodies.pos.shape[:-2]
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(lead) :]), (bodies.pos, bodies.rot))

        def spread(x: jax.Array, own: int) -> jax.Array:
            shape = x.shape[x.ndim - own :]
            return jnp.broadcast_to(x, (*lead, *shape)).reshape(-1, *shape)

        axes = (camera.pos, camera.right, camera.up, camera.forward)
        views = Camera(*(spread(v, 1) for v in axes), fovy=spread(camera.fovy, 0))

        def one(item: tuple[tuple[jax.Array, jax.Array], Camera]) -> Image:
            (pos, rot), view = item
            return render_one(bodies.replace(pos=pos, rot=rot), view)

        images = jax.lax.map(one, (flat, views), batch_size=chunk)
        return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), images)

    return render
