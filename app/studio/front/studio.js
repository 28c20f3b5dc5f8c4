import 'htmx.org';
import './studio.css';
import './shell.js';
import './palette.js';
import './leaving.js';
