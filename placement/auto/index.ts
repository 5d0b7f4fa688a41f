export { type Evidence, evidenceOf } from './evidence.js';
export { type Hold, holdsOf, Streaks, spellMs } from './holds.js';
export { type Change, EMPTY, ended, iso, type Journal, journalSchema, type Outcome } from './journal.js';
export { type Policy, readPolicy } from './schema.js';
export { type Unjudged, unjudgedIn } from './unjudged.js';
export { devicesOf, isEnough, isSmaller, type Objection, objectionsTo } from './verdict.js';
