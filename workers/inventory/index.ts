export { describeMachine, thisMachine } from './machine.js';
