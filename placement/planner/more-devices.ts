import type { Device, Inventory } from '../inventory/index.js';

/** The inventory with devices of a kind added on a node of their own; undefined where it has none of the kind to copy. */
export function withMoreDevices(inventory: Inventory, kind: string, count: number): Inventory | undefined {
  const like = inventory.devices.find((device) => device.kind === kind);
  if (like === undefined) return undefined;
  const before = inventory.devices.filter(({ node }) => node === `more-${kind}`).length;
  const added = Array.from({ length: count }, (_, i): Device => {
    const node = `more-${kind}`;
    return { ...like, node, id: `${node}/${before + i}` };
  });
  return { ...inventory, devices: [...inventory.devices, ...added] };
}
