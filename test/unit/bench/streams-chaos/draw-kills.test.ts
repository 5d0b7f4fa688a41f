import { expect, it } from 'vitest';
import { drawKills } from '../../../../bench/streams-chaos/draw-kills.js';

it('draws a kill again that came after the end of its story, until there are enough', async () => {
  const stories: number[] = [];
  const missing = await drawKills(3, async (number) => {
    stories.push(number);
    return number % 2 === 1;
  });
  expect([missing, stories]).toEqual([0, [0, 1, 2, 3, 4, 5]]);
});

it('ends where no kill falls within a story, and says how many are missing', async () => {
  let stories = 0;
  const missing = await drawKills(3, async () => {
    stories += 1;
    return stories === 5;
  });
  expect([missing, stories]).toEqual([2, 12]);
});
