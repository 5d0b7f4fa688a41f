/** The value that replaces all further ones once the limit is reached; no pipeline and no tenant can have this name. */
const OTHERS = '_other';

/**
 * Limits the values of a label, since a metric keeps each for the life of the process. The first `most` values are kept
 * as they are.
 * @returns a function that maps a value to the one to count
 */
export function boundedLabel(most = 200): (value: string) => string {
  const own = new Set<string>();
  return (value) => {
    if (own.size < most) own.add(value);
    return own.has(value) ? value : OTHERS;
  };
}
