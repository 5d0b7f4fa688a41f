import { describe, expect, it } from 'vitest';
import { Congestion } from '../../../../activities/pools/congestion.js';

const behind = { requests: 10, queueMs: 500, computeMs: 200 };
const ahead = { requests: 10, queueMs: 50, computeMs: 200 };

describe('how many calls a server should have at once', () => {
  it('begins with what the models file allows', () => {
    expect(new Congestion(32).limit).toBe(32);
  });

  it('falls while calls wait longer than they are computed, and never below one', () => {
    const congestion = new Congestion(10);
    congestion.observe(behind, 10);
    expect(congestion.limit).toBe(8);
    for (let i = 0; i < 30; i++) congestion.observe(behind, 10);
    expect(congestion.limit).toBe(1);
  });

  it('grows by one where the limit was reached and nothing waited, and never beyond the first', () => {
    const congestion = new Congestion(10);
    for (let i = 0; i < 5; i++) congestion.observe(behind, 10);
    const low = congestion.limit;
    congestion.observe(ahead, low);
    expect(congestion.limit).toBe(low + 1);
    for (let i = 0; i < 30; i++) congestion.observe(ahead, 10);
    expect(congestion.limit).toBe(10);
  });

  it('follows what the models file allows now, unless the server has lowered it further', () => {
    const congestion = new Congestion(10);
    congestion.allow(20);
    expect(congestion.limit).toBe(20);
    congestion.allow(5);
    expect(congestion.limit).toBe(5);
    congestion.observe(behind, 5);
    expect(congestion.limit).toBe(4);
    congestion.allow(20);
    expect(congestion.limit).toBe(4);
    for (let i = 0; i < 30; i++) congestion.observe(ahead, 20);
    expect(congestion.limit).toBe(20);
  });

  it('keeps a limit that the server has caused while the models file allows less', () => {
    const congestion = new Congestion(20);
    for (let i = 0; i < 3; i++) congestion.observe(behind, 20);
    expect(congestion.limit).toBe(10);
    congestion.allow(5);
    expect(congestion.limit).toBe(5);
    congestion.observe(ahead, 5);
    congestion.allow(20);
    expect(congestion.limit).toBe(10);
    for (let i = 0; i < 30; i++) congestion.observe(ahead, 20);
    expect(congestion.limit).toBe(20);
  });

  it('does not fall for the time that batches wait to fill', () => {
    const congestion = new Congestion(10);
    congestion.observe(behind, 10, 40);
    expect(congestion.limit).toBe(10);
    // 500 ms of ten calls, of which 200 were meant.
    congestion.observe(behind, 10, 20);
    expect(congestion.limit).toBe(8);
  });

  it('stays where the limit was not reached, and where nothing was done', () => {
    const congestion = new Congestion(10);
    congestion.observe(behind, 10);
    congestion.observe(ahead, 3);
    congestion.observe({ requests: 0, queueMs: 0, computeMs: 0 }, 8);
    expect(congestion.limit).toBe(8);
  });
});
