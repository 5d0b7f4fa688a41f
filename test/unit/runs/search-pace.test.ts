import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../pipelines/errors.js';
import type { RunList } from '../../../runs/list/run-list.js';
import { SearchPace } from '../../../runs/search-pace.js';

/** A list of runs that counts its turns, the first of which it refuses. */
function listing(refused = 0, retryAfterMs = 5) {
  const turns: string[] = [];
  let left = refused;
  const list: RunList = {
    page: async () => ({ runs: [] }),
    async turn(tenant) {
      if (left-- > 0) throw new MillraceError('RATE_LIMITED', 'too many', { retryAfterMs });
      turns.push(tenant);
    },
  };
  return { list, turns };
}

const staying = new AbortController().signal;

async function read(pace: SearchPace, histories: number): Promise<void> {
  for (let i = 0; i < histories; i++) await pace.history();
}

describe('an erasure that looks for what belongs to its run', () => {
  it('reads twenty histories in the turn that it has had, and takes another one for each twenty after these', async () => {
    const { list, turns } = listing();
    const pace = new SearchPace(list, 'acme', staying);
    await read(pace, 20);
    expect(turns).toHaveLength(0);
    await read(pace, 1);
    expect(turns).toEqual(['acme']);
    await read(pace, 40);
    expect(turns).toHaveLength(3);
    pace.end();
  });

  it('waits for a turn that it does not get at once, for ten seconds at most', async () => {
    const { list, turns } = listing(3);
    const pace = new SearchPace(list, 'acme', staying);
    await pace.turn();
    expect(turns).toHaveLength(1);
    pace.end();
    const full = new SearchPace(listing(1, 10_001).list, 'acme', staying);
    await expect(full.turn()).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: 10_001 } });
  });

  it('is the only one of its tenant that takes several turns', async () => {
    const { list } = listing();
    const of = (tenant: string) => new SearchPace(list, tenant, staying);
    const [first, second, other] = [of('acme'), of('acme'), of('other')];
    await read(first, 21);
    await read(second, 20);
    await expect(second.history()).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: 2_000 } });
    await read(other, 21);
    // One that was refused frees no place.
    second.end();
    await expect(of('acme').turn()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    first.end();
    await of('acme').turn();
  });

  it('ends when its client leaves, also while it waits', async () => {
    const gone = new AbortController();
    const { list, turns } = listing(1, 9_000);
    const pace = new SearchPace(list, 'acme', gone.signal);
    const waiting = pace.turn();
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    await expect(pace.turn()).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(turns).toHaveLength(0);
  });
});
