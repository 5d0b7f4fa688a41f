export { withNode } from './cluster-file.js';
export { asName, deviceLines, kindOf } from './device-lines.js';
export { exportedBy } from './exported-by.js';
export { describeMachine, thisMachine } from './machine.js';
export { runningServers } from './running-servers.js';
