//! The HTTP side: queries over stored points, the API, the web page.
