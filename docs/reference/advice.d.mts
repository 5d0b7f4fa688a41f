export const ADVICE: Readonly<Record<string, string>>;
