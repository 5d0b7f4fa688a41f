export { withNode } from './cluster-file.js';
export { deviceLines, kindOf } from './device-lines.js';
export { exportedBy } from './exported-by.js';
export { describeMachine, thisMachine } from './machine.js';
export { asNode, nodeOf } from './node-name.js';
export { runningServers } from './running-servers.js';
