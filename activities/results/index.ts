export { fitted, type ResultTexts } from './fit.js';
export { resultKind } from './worker-kind.js';
