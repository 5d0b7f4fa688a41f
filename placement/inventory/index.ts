export { type Device, type Inventory, type Link, type Route, routeBetween, UNNAMED_ROUTES } from './inventory.js';
export { readInventory } from './read-inventory.js';
export { transferTimes } from './transfer.js';
