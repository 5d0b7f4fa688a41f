/** An address without slashes at its end, for paths that are appended to it. */
export const withoutSlash = (address: string): string => address.replace(/\/+$/, '');
