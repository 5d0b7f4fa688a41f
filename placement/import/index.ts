export { importProfiles, PROFILE_FORMATS, type ProfileFormat, type ProfileImport } from './profiles.js';
export { importTrace, TRACE_FORMATS, type TraceFormat, type TraceImport } from './traces.js';
