import type { Device, Inventory } from '../inventory/index.js';

/** The inventory with additional devices of a kind on a new node; undefined if it has no device of the kind to copy. */
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
