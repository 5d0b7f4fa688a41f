/** The port for protocols from outside. */
export type { Door, DoorGateway, DoorOrder } from './door.js';
export { firstPart, mountDoors } from './mount-doors.js';
