import { type Inventory, routeBetween } from './inventory.js';

/**
 * Milliseconds to move bytes between devices, by their indexes in the inventory. Devices of one node with the same
 * links are equivalent, so the table covers classes of devices, not devices.
 */
export function transferTimes(inventory: Inventory): (from: number, to: number, bytes: number) => number {
  const { devices, links } = inventory;
  const likes = new Map<string, number>();
  const first: number[] = [];
  const second: number[] = [];
  const likeOf = Int32Array.from(devices, ({ id, node }, i) => {
    const key = JSON.stringify([node, ...links.flatMap((link, l) => (link.devices.has(id) ? [l] : []))]);
    const like = likes.get(key) ?? likes.size;
    likes.set(key, like);
    if (first[like] === undefined) first[like] = i;
    else second[like] ??= i;
    return like;
  });
  const count = likes.size;
  const latencyMs = new Float64Array(count * count);
  const msPerByte = new Float64Array(count * count);
  for (let a = 0; a < count; a += 1) {
    for (let b = 0; b < count; b += 1) {
      const from = devices[first[a] ?? 0];
      const to = devices[(a === b ? second[b] : first[b]) ?? first[b] ?? 0];
      const route = from && to ? routeBetween(inventory, from, to) : undefined;
      latencyMs[a * count + b] = route?.latencyMs ?? 0;
      msPerByte[a * count + b] = route ? 1 / route.bytesPerMs : 0;
    }
  }
  return (from, to, bytes) => {
    if (from === to) return 0;
    const at = (likeOf[from] as number) * count + (likeOf[to] as number);
    return (latencyMs[at] as number) + bytes * (msPerByte[at] as number);
  };
}
