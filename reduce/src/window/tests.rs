//! Windows, case by case.
