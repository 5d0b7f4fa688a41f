export { type PoolAffinity, tellsOfPrefixes } from './affinity.js';
export type { Apart } from './apart.js';
export { cheapest, fastest } from './bound.js';
export { buildProblem, type PlannerInput } from './build-problem.js';
export {
  type Candidate,
  cellAt,
  configOf,
  costOf,
  delayOf,
  isPossible,
  leftOf,
  mayOverlap,
  mostTokensOf,
  orderedReplicas,
  type Replica,
  replicasByDevice,
  simulatedPlacement,
  takenBytes,
  useOn,
} from './candidate.js';
export { keptShare, spentOf } from './error-budget.js';
export { slowest } from './in-time.js';
export { Judge, type Seen } from './judge.js';
export { demandedLosses, demandsLosses, domainOf, lossesOf } from './losses.js';
export { LowerBound } from './lower-bound.js';
export { roomOf } from './memory.js';
export { withMoreDevices } from './more-devices.js';
export { prefixOf } from './prefixes.js';
export { type Objective, type Problem, type Survive, takesTheRest } from './problem.js';
export { endToEnd } from './quality.js';
export { attainable } from './rate.js';
export { type Searched, searchCheapest, searchFastest } from './search.js';
export { shedShare } from './shed.js';
export { balance } from './stability.js';
export { horizonMs } from './targets.js';
export { transfersOf } from './transfers.js';
export { type WaysOut, waysOut } from './ways-out.js';
