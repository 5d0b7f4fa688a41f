import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields, MOST_FIELDS } from '../../pipelines/invalid-fields.js';
import { type Located, nearest, type Path, readLocated } from '../source/index.js';
import type { Device, Inventory, Link } from './inventory.js';
import { type InventoryFile, inventorySchema } from './schema.js';

/**
 * Parses a `cluster.yaml`. Throws `INVALID_INVENTORY` naming every wrong line and the correction: negative amounts,
 * unknown devices, duplicate names, links that contain themselves, more devices than can be planned.
 */
export function readInventory(text: string, file = 'cluster.yaml'): Inventory {
  const source = readLocated(text, file, inventorySchema, 'INVALID_INVENTORY');
  const mistakes: FieldError[] = [];
  const wrong = (path: Path, message: string) => mistakes.push({ field: source.at(path), message });
  unique(source, wrong);
  checkBilling(source, wrong);
  checkSlowdown(source, wrong);
  checkParts(source, wrong);
  const count = countOf(source.value);
  if (count > MOST_DEVICES) {
    wrong(['nodes'], `${count} devices, parts included: at most ${MOST_DEVICES}; plan for a part of them`);
    throw invalidFields('INVALID_INVENTORY', mistakes);
  }
  const devices = devicesOf(source.value);
  checkQueues(source, devices, wrong);
  // Names are compared for as many mistakes as are shown.
  const hint = (name: string, known: readonly string[]) => (mistakes.length < MOST_FIELDS ? nearest(name, known) : '');
  const links = linksOf(source.value, devices, wrong, hint);
  const ids = devices.map(({ id }) => id);
  const known = new Set(ids);
  for (const [i, { device }] of source.value.endpoints.entries()) {
    if (!known.has(device)) wrong(['endpoints', i, 'device'], `there is no device "${device}"${hint(device, ids)}`);
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_INVENTORY', mistakes);
  return { currency: source.value.currency, devices, links, endpoints: source.value.endpoints };
}

type Wrong = (path: Path, message: string) => void;
type Hint = (name: string, known: readonly string[]) => string;

/** A search takes steps for each of them. */
const MOST_DEVICES = 10_000;

const countOf = ({ nodes }: InventoryFile): number =>
  nodes
    .flatMap(({ devices }) => devices)
    .reduce((sum, { count, share }) => sum + count * (share?.mode === 'mig' ? share.parts : 1), 0);

function unique({ value }: Located<InventoryFile>, wrong: Wrong): void {
  const seen = new Set<string>();
  const check = (name: string, path: Path, what: string) => {
    if (seen.has(name)) wrong(path, `"${name}" is taken by another ${what}: give it a name of its own`);
    seen.add(name);
  };
  for (const [i, { name }] of value.nodes.entries()) check(name, ['nodes', i, 'name'], 'node');
  for (const [i, { name }] of value.links.entries()) check(name, ['links', i, 'name'], 'node or link');
  const kinds = new Map<string, number>();
  const alike = (kind: string, bytes: number, path: Path) => {
    const before = kinds.get(kind) ?? bytes;
    if (before !== bytes) wrong(path, `a "${kind}" elsewhere has ${before} bytes: give it another kind`);
    kinds.set(kind, before);
  };
  for (const [i, { devices }] of value.nodes.entries()) {
    for (const [j, { kind, memory, count, share, uuids }] of devices.entries()) {
      const parts = count * (share?.mode === 'mig' ? share.parts : 1);
      if (uuids && (uuids.length !== parts || new Set(uuids).size < parts)) {
        wrong(['nodes', i, 'devices', j, 'uuids'], `give ${parts} different ids: one for each device or MIG part`);
      }
      const at: Path = ['nodes', i, 'devices', j];
      alike(kind, memory, [...at, 'memory']);
      if (share?.mode === 'mig') alike(partKind(kind, share), partBytes(memory, share), [...at, 'share']);
    }
  }
}

/** The queue of a device has a dot in place of the slash: part 0 of `a/1` and device 0 of `a.1` would have the same. */
function checkQueues({ value }: Located<InventoryFile>, devices: readonly Device[], wrong: Wrong): void {
  const nodes = new Map<string, string>();
  for (const { id, node } of devices) {
    const queue = id.replace('/', '.');
    const other = nodes.get(queue) ?? node;
    nodes.set(queue, node);
    if (other === node) continue;
    const at = value.nodes.findIndex(({ name }) => name === node);
    const message = `the queues of ${id} and of a device of "${other}" have one name: rename one node`;
    wrong(['nodes', at, 'name'], message);
    return;
  }
}

/** A probability of loss is stated for spot devices, and for no others. */
function checkBilling({ value }: Located<InventoryFile>, wrong: Wrong): void {
  for (const [i, { devices }] of value.nodes.entries()) {
    for (const [j, { billing, lossPerHour }] of devices.entries()) {
      const at = (field: string): Path => ['nodes', i, 'devices', j, field];
      if (billing === 'spot' && lossPerHour === undefined) {
        wrong(at('billing'), 'give lossPerHour, the probability that it is lost within an hour, e.g. 0.05');
      }
      if (billing !== 'spot' && lossPerHour !== undefined) {
        wrong(at('lossPerHour'), 'only spot devices have it: remove it, or write billing: spot');
      }
    }
  }
}

/** Calls that take longer together than one after the other are none at once. */
function checkSlowdown({ value }: Located<InventoryFile>, wrong: Wrong): void {
  for (const [i, { devices }] of value.nodes.entries()) {
    for (const [j, { concurrency, slowdown, share }] of devices.entries()) {
      const atOnce = share?.mode === 'mps' ? share.parts : concurrency;
      if (slowdown <= atOnce) continue;
      const message = `${slowdown} is more than ${atOnce}, the calls at once: one after the other they would take no longer; lower it, or state the calls at once (concurrency, or share with mode: mps)`;
      wrong(['nodes', i, 'devices', j, 'slowdown'], message);
    }
  }
}

/** Parts of MIG have memory of their own, together no more than the GPU; those of MPS share all of it. */
function checkParts({ value }: Located<InventoryFile>, wrong: Wrong): void {
  for (const [i, { devices }] of value.nodes.entries()) {
    for (const [j, { memory, share }] of devices.entries()) {
      if (share?.memory === undefined) continue;
      const at: Path = ['nodes', i, 'devices', j, 'share', 'memory'];
      if (share.mode === 'mps') wrong(at, 'the parts of mps share the memory of the device: remove it');
      else if (share.memory * share.parts > memory) {
        const message = `${share.parts} parts of it are more than the device’s ${memory} bytes: give the memory of one part`;
        wrong(at, message);
      }
    }
  }
}

type Share = NonNullable<InventoryFile['nodes'][number]['devices'][number]['share']>;

const partKind = (kind: string, { parts }: Share): string => `${kind}:mig${parts}`;

/** Memory of a part of MIG, unless stated: a GPU's is cut into 2, 4 or 8 slices, of which 3 or 7 equal parts leave one unused. */
const partBytes = (memory: number, { parts, memory: stated }: Share): number =>
  stated ?? Math.floor(memory / 2 ** Math.ceil(Math.log2(parts)));

function devicesOf({ nodes }: InventoryFile): Device[] {
  const devices: Device[] = [];
  for (const { name: node, devices: rows } of nodes) {
    let index = 0;
    for (const { kind, count, memory, pricePerHour, share, uuids = [], ...row } of rows) {
      const { concurrency, slowdown, sharing, memoryUtilization, billing, lossPerHour } = row;
      const named = (at: number) => (uuids[at] === undefined ? {} : { uuid: uuids[at] });
      for (let i = 0; i < count; i += 1, index += 1) {
        const whole: Device = {
          id: `${node}/${index}`,
          node,
          kind,
          memoryBytes: memory,
          pricePerHour,
          concurrency,
          ...(slowdown > 1 && { slowdown }),
          sharing,
          memoryUtilization,
          ...(billing !== 'on-demand' && { billing }),
          ...(lossPerHour !== undefined && { lossPerHour }),
          ...(share?.mode === 'mig' ? {} : named(i)),
        };
        if (share === undefined) devices.push(whole);
        else if (share.mode === 'mps') {
          devices.push({ ...whole, kind: `${kind}:mps${share.parts}`, concurrency: share.parts });
        } else {
          const part = {
            ...whole,
            kind: partKind(kind, share),
            memoryBytes: partBytes(memory, share),
            pricePerHour: pricePerHour / share.parts,
          };
          for (let p = 0; p < share.parts; p += 1) {
            devices.push({ ...part, id: `${whole.id}.${p}`, ...named(i * share.parts + p) });
          }
        }
      }
    }
  }
  return devices;
}

/** Links with the devices they join; reports each unknown name and each link that contains itself. */
function linksOf({ links, nodes }: InventoryFile, devices: readonly Device[], wrong: Wrong, hint: Hint): Link[] {
  const within = new Map<string, readonly string[]>();
  for (const { id } of devices) {
    within.set(id, [id]);
    const whole = id.replace(/\.\d+$/, '');
    if (whole !== id) within.set(whole, [...(within.get(whole) ?? []), id]);
  }
  const onNodes = new Map(nodes.map(({ name }) => [name, [] as string[]]));
  for (const { node, id } of devices) onNodes.get(node)?.push(id);
  for (const [name, ids] of onNodes) within.set(name, ids);
  const known = [...within.keys(), ...links.map(({ name }) => name)];
  const names = new Set(known);
  const indexOf = new Map(links.map(({ name }, i) => [name, i]));
  // Each name once, however many links join it. A link that contains itself is reported where it closes the circle.
  const membersOf = (name: string): ReadonlySet<string> => {
    const members = new Set<string>();
    const seen = new Set<string>();
    const visit = (index: number, path: readonly string[]) => {
      for (const [j, inner] of (links[index]?.joins ?? []).entries()) {
        const next = indexOf.get(inner);
        if (inner === name) {
          const circle = [...path, inner].join(' > ');
          wrong(
            ['links', index, 'joins', j],
            `the link "${inner}" contains itself (${circle}): remove "${inner}" here`,
          );
        } else if (!seen.has(inner)) {
          seen.add(inner);
          if (next === undefined) for (const id of within.get(inner) ?? []) members.add(id);
          else visit(next, [...path, inner]);
        }
      }
    };
    visit(indexOf.get(name) ?? -1, [name]);
    return members;
  };
  return links.map(({ name, type, joins, bandwidth, latency }, i) => {
    for (const [j, joined] of joins.entries()) {
      if (!names.has(joined)) {
        wrong(['links', i, 'joins', j], `there is no device, node or link "${joined}"${hint(joined, known)}`);
      }
    }
    return { name, type, devices: membersOf(name), bytesPerMs: bandwidth, latencyMs: latency };
  });
}
