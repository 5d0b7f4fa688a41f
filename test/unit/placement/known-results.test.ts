import { describe, expect, it } from 'vitest';
import { enumerated } from '../../../bench/planner/enumerate.js';
import { strainedInstance } from '../../../bench/planner/instances.js';
import { Judge } from '../../../placement/planner/index.js';

describe('a judge that knows a placement with other batch limits', () => {
  it('says the same as one that simulates it, with fewer simulations', () => {
    let judged = 0;
    let simulated = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const problem = strainedInstance(seed);
      const judge = new Judge(problem);
      let turn = 0;
      for (const { candidate } of enumerated(problem)) {
        turn += 1;
        if (turn > 1_500) break;
        const reach = judge.reach(candidate);
        judged += reach > 0 ? 1 : 0;
        if (turn % 3 === 0) expect(new Judge(problem).reach(candidate), `seed ${seed}`).toBe(reach);
      }
      simulated += judge.simulations;
    }
    expect(simulated).toBeLessThan(0.8 * judged);
  });
});
