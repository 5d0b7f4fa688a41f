export { withNode } from './cluster-file.js';
export { asName, deviceLines } from './device-lines.js';
export { describeMachine, thisMachine } from './machine.js';
export { runningServers } from './running-servers.js';
