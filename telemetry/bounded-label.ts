/** What all values count as that come when there are as many as may be; no pipeline can have this name. */
const OTHERS = '_other';

/**
 * Bounds the values of a label: a metric keeps each for as long as the process lives. The first `most` that come have their own.
 * @returns the value to count a value as
 */
export function boundedLabel(most = 200): (value: string) => string {
  const own = new Set<string>();
  return (value) => {
    if (own.size < most) own.add(value);
    return own.has(value) ? value : OTHERS;
  };
}
