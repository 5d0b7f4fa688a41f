export { loadEngine } from './engine.js';
export { QuickJsSandbox } from './quickjs.js';
