const BYTE_ORDER_MARK = '\ufeff';

/** The text of a file without the byte order mark that editors of Windows write before it: it is no part of JSON (RFC 8259 §8.1). */
export const withoutMark = (text: string): string => (text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
