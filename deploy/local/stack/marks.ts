/** Every part's environment contains this variable with the stack's home, by which stray processes are found. */
export const STACK_MARK = 'MILLRACE_STACK_HOME';

/** An installer's environment contains this variable with the venv's folder. */
export const INSTALL_MARK = 'MILLRACE_INSTALLS_INTO';
