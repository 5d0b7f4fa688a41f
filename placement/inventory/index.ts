export { type Device, type Inventory, routeBetween } from './inventory.js';
export { readInventory } from './read-inventory.js';
export { transferTimes } from './transfer.js';
