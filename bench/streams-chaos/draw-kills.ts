/** Most stories for each kill that is wanted. */
const MOST_STORIES = 4;

/**
 * Tells stories until so many kills have fallen within theirs: a point after the end of its story is drawn again. Returns how many are
 * missing when each has been drawn four times on average.
 *
 * @param story tells one; whether its kill counts
 */
export async function drawKills(wanted: number, story: (number: number) => Promise<boolean>): Promise<number> {
  let kills = 0;
  for (let number = 0; kills < wanted && number < MOST_STORIES * wanted; number++) kills += Number(await story(number));
  return wanted - kills;
}
