import type { RunHost } from '../../workflows/interpreter/index.js';

/** The host with some of its methods replaced, in races too. */
export const changed = (host: RunHost, change: (inner: RunHost) => Partial<RunHost>): RunHost => ({
  runStage: (...args) => host.runStage(...args),
  runChild: (...args) => host.runChild(...args),
  now: () => host.now(),
  wait: (...args) => host.wait(...args),
  nonce: () => host.nonce(),
  decision: (...args) => host.decision(...args),
  close: (nonce) => host.close(nonce),
  ...(host.streams && { streams: true }),
  ...(host.pieces && { pieces: host.pieces }),
  race: (contenders) => host.race(contenders.map((contender) => (inner) => contender(changed(inner, change)))),
  full: (beside) => host.full(beside),
  report: (stages) => host.report(stages),
  ...change(host),
});
