// Replaces what has changed, and answers keys. The page is complete without it.
'use strict';
