export { type Device, type Inventory, isSpot, routeBetween } from './inventory.js';
export { readInventory } from './read-inventory.js';
export { transferTimes } from './transfer.js';
