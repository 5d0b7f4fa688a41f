import { type Inventory, isSpot } from '../inventory/index.js';
import { domainOf, replicasByDevice } from '../planner/index.js';
import type { Placed } from './switching.js';

/** Price of all reserved devices for an hour: they are paid whether used or not. */
export const reservedPerHour = ({ devices }: Inventory): number =>
  devices.reduce((sum, { billing, pricePerHour }) => sum + (billing === 'reserved' ? pricePerHour : 0), 0);

/** The inventory as an hour's choice sees it: using a reserved device costs nothing more. */
export const withReservedFree = (inventory: Inventory): Inventory => ({
  ...inventory,
  devices: inventory.devices.map((device) => (device.billing === 'reserved' ? { ...device, pricePerHour: 0 } : device)),
});

/**
 * Probability that two or more of the spot devices that a placement uses are lost in an hour. Parts of one GPU are lost together;
 * a lost device is replaced by the next hour, and losses of different devices are independent.
 */
export function twoLost({ problem, candidate }: Placed): number {
  const losses = new Map<string, number>();
  for (const device of replicasByDevice(candidate).keys()) {
    const own = problem.devices[device];
    if (own && isSpot(own)) losses.set(domainOf(problem, device, 'device'), own.lossPerHour ?? 0);
  }
  let none = 1;
  let one = 0;
  for (const loss of losses.values()) {
    one = one * (1 - loss) + none * loss;
    none *= 1 - loss;
  }
  return Math.max(0, 1 - none - one);
}
