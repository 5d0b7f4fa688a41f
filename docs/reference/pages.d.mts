/** @param root folder of the repository */
export function renderIndex(root: string): string;
export function renderLlms(root: string): string;
