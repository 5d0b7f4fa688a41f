/** The suite that proves a connector against a real server, for tests of Millrace's own connectors and of others. */
export { noAudio } from './context.js';
export type { Contract, ContractCall, TestRunner } from './contract.js';
export { connectorContract } from './suite.js';
