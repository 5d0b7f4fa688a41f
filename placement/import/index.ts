export { importProfiles, PROFILE_FORMATS, type ProfileFormat } from './profiles.js';
export { importTrace, TRACE_FORMATS, type TraceFormat } from './traces.js';
