/**
 * Whether a text is a page for people, as a proxy or a login shows it in place of a model's answer, and often as a success. The
 * type alone says nothing: Flask, for one, calls every text HTML.
 */
export const isPage = (type: string, text: string): boolean =>
  /^text\/html\b/i.test(type) && /^\s{0,256}<(?:!doctype|html)\b/i.test(text);
